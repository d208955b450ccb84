#!/bin/sh
# Tries tandem-real-server in the network namespace that it is started in, which must be a fresh one:
#   unshare --net sh test.sh
# Prints PASS or FAIL for each step; exit code 0 when none failed. Without the kernel module ipip the TUN steps are
# replaced by one that checks the error, and "SKIP" says so.
set -u

script=$(dirname "$0")/tandem-real-server
TANDEM_REAL_SERVER_STATE=$(mktemp -d) || exit 1
export TANDEM_REAL_SERVER_STATE
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work" "$TANDEM_REAL_SERVER_STATE"' EXIT
failed=0

[ "$(ip -o link | grep -c -v -E ' (lo|tunl0|ip6tnl0|sit0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|ip6gre0)[@:]')" = 0 ] || {
    echo "this namespace has interfaces: start me by unshare --net" >&2
    exit 1
}

# expect CODE WHAT COMMAND...
expect() {
    want=$1
    what=$2
    shift 2
    "$@" >"$work/out" 2>&1
    got=$?
    if [ "$got" = "$want" ]; then
        echo "PASS $what"
    else
        echo "FAIL $what: exit code $got, not $want"
        cat "$work/out"
        failed=1
    fi
}

# Addresses, links and settings, in a form that compares.
picture() {
    ip -o -4 addr | sed 's/^[0-9]*: //' | sort
    ip -o -6 addr show dev lo | sed 's/^[0-9]*: //' | sort
    ip -o link | sed 's/^[0-9]*: //; s/ state [A-Z]*//; s/ qdisc [a-z]*//' | sort
    for name in arp_ignore arp_announce rp_filter; do
        for file in /proc/sys/net/ipv4/conf/*/"$name"; do echo "$file $(cat "$file")"; done
    done
    ls "$TANDEM_REAL_SERVER_STATE"
}
# shellcheck disable=SC2317 # called by name, through expect
as_it_was() { picture | diff "$work/before" -; }

ip link set lo up
ip link add eth0 type veth peer name eth0p
ip link set eth0p up
ip link set eth0 up
ip addr add 10.0.0.11/24 dev eth0
# Not the kernel's own values, so that "as it was" means something.
echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter
echo 1 >/proc/sys/net/ipv4/conf/lo/arp_announce
picture >"$work/before"

expect 3 "status before start" "$script" status
expect 0 "start" "$script" start 10.0.0.100
expect 0 "status" "$script" status
expect 0 "status of this address" "$script" status 10.0.0.100
expect 0 "start again, with more" "$script" start 10.0.0.100 10.0.0.101 fd00::100
expect 0 "status of all" "$script" status
expect 0 "stop one" "$script" stop 10.0.0.100
expect 0 "status of the rest" "$script" status
expect 3 "status of the stopped one" "$script" status 10.0.0.100
echo 0 >/proc/sys/net/ipv4/conf/all/arp_ignore
expect 3 "status notices a changed setting" "$script" status
expect 0 "start repairs it" "$script" start 10.0.0.101
expect 0 "status after the repair" "$script" status
expect 0 "stop all" "$script" stop
expect 0 "stop again" "$script" stop
expect 0 "everything as it was" as_it_was

ip addr add 10.0.0.100/32 dev lo
expect 0 "start with the address there" "$script" start 10.0.0.100
expect 0 "stop" "$script" stop
expect 0 "an address that was there stays" ip addr del 10.0.0.100/32 dev lo
ip addr add 10.0.0.100/32 dev eth0
expect 1 "a director is refused" "$script" start 10.0.0.100
ip addr del 10.0.0.100/32 dev eth0
"$script" stop

expect 2 "no command" "$script"
expect 2 "unknown command" "$script" begin
expect 2 "start without an address" "$script" start
expect 2 "no address" "$script" start 10.0.0.300
expect 2 "address with a mask" "$script" start 10.0.0.100/32
expect 2 "unknown method" "$script" start 10.0.0.100 --method nat
expect 2 "unknown option" "$script" start 10.0.0.100 --methd dr
expect 2 "TUN with IPv6" "$script" start fd00::100 --method tun
expect 0 "everything as it was" as_it_was

if ip link show tunl0 >/dev/null 2>&1 || modprobe ipip 2>/dev/null; then
    picture >"$work/before"
    expect 0 "TUN: start" "$script" start 10.0.0.100 --method tun
    expect 0 "TUN: status" "$script" status
    expect 0 "TUN: eth0 keeps its reverse path filter" grep -qx 1 /proc/sys/net/ipv4/conf/eth0/rp_filter
    expect 0 "TUN: a DR address besides" "$script" start 10.0.0.101
    expect 0 "TUN: status of both" "$script" status
    expect 1 "TUN: the same address with the other method" "$script" start 10.0.0.100 --method dr
    expect 0 "TUN: stop" "$script" stop
    expect 0 "TUN: everything as it was" as_it_was
else
    expect 1 "TUN: error without the kernel module" "$script" start 10.0.0.100 --method tun
    "$script" stop
    expect 0 "TUN: everything as it was" as_it_was
    echo "SKIP TUN steps: this kernel has no module ipip"
fi
exit $failed
