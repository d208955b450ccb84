#!/bin/bash
# Makes the captures of this folder anew: adverts that other implementations really send, one text file a scene.
# Needs root, iproute2, tcpdump, Debian's keepalived (2.2.7) and FRR (8.4) with /usr/lib/frr/vrrpd.
#
#   tests/captures/make.sh              all scenes
#   tests/captures/make.sh ka_v2_ah     some of them
set -uo pipefail
cd "$(dirname "$0")" || exit 2
here=$PWD
tag=${TAG:-bytes}
work=$(mktemp -d)
one=$tag-1 two=$tag-2
started=()

clean() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
    wait 2>/dev/null
    ip netns del "$one" 2>/dev/null
    ip netns del "$two" 2>/dev/null
    rm -rf "$work"
}
trap clean EXIT

# Two hosts on one wire: 10.7.0.1 and fe80::1, 10.7.0.2 and fe80::2.
wire() {
    ip netns add "$one" && ip netns add "$two" || exit 2
    ip -n "$one" link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns "$two"
    local host
    for host in 1 2; do
        local space=$tag-$host
        ip netns exec "$space" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
            net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.all.autoconf=0 net.ipv6.conf.eth0.addr_gen_mode=1
        ip -n "$space" addr add 10.7.0.$host/24 dev eth0
        ip -n "$space" addr add fe80::$host/64 dev eth0 nodad
        ip -n "$space" link set lo up
        ip -n "$space" link set eth0 up
    done
}

# listen SCENE: records what host 1 and 2 send, seen at host 2.
listen() {
    ip netns exec "$two" tcpdump -i eth0 -U -s 0 -w "$work/$1.pcap" \
        'ip proto 112 or ip proto 51 or (ip6 and ip6[6] == 112)' 2>"$work/tcpdump.log" &
    listener=$!
    started+=("$listener")
    until grep -q 'listening on' "$work/tcpdump.log" 2>/dev/null; do sleep 0.05; done
}

# keep SCENE FRAMES WORDS: ends the recording and writes FRAMES frames of it (the last one always) as text.
keep() {
    local scene=$1 frames=$2 words=$3
    sleep 0.3
    kill "$listener" && wait "$listener" 2>/dev/null
    {
        printf '# %s\n' "$words"
        printf '# seconds since the first frame, Ethernet frame in hexadecimal digits\n'
        tcpdump -r "$work/$scene.pcap" -xx -ttttt 2>/dev/null | awk '
            function out() { if (hex != "") print time, hex }
            /^[^\t ]|^ *[0-9]+:[0-9][0-9]:/ { out(); split($1, t, ":"); time = t[1] * 3600 + t[2] * 60 + t[3]; hex = ""; next }
            /^\t0x/ { sub(/^\t0x[0-9a-f]+: */, ""); gsub(/ /, ""); hex = hex $0 }
            END { out() }' >"$work/lines"
        local all
        all=$(wc -l <"$work/lines")
        if [ "$all" -le "$frames" ]; then
            cat "$work/lines"
        else
            head -n $((frames - 1)) "$work/lines"
            tail -n 1 "$work/lines"
        fi
    } >"$here/$scene.hex"
    printf '%-22s %s frames\n' "$scene" "$(grep -vc '^#' "$here/$scene.hex")"
}

# keepalived HOST SCENE-FILE: starts it in a host; its process id is left in $pid.
run_keepalived() {
    local space=$tag-$1 file=$2
    ip netns exec "$space" keepalived -n -l -D -P -f "$file" -p "$work/ka$1.pid" -r "$work/vrrp$1.pid" \
        >>"$work/keepalived$1.log" 2>&1 &
    pid=$!
    started+=("$pid")
}

# conf FILE VIPS LINES: a configuration of one instance.
conf() {
    printf 'global_defs {\n  router_id captures\n}\nvrrp_instance VI_1 {\n  state BACKUP\n  interface eth0\n' >"$1"
    printf '  virtual_router_id 51\n  garp_master_delay 0\n  garp_master_repeat 1\n%b\n' "$3" >>"$1"
    printf '  virtual_ipaddress {\n%b\n  }\n}\n' "$2" >>"$1"
}

# scene NAME SECONDS FRAMES VIPS LINES WORDS: one keepalived from its start to its orderly end.
scene() {
    local name=$1 seconds=$2 frames=$3
    wanted "$name" || return
    conf "$work/conf" "$4" "$5"
    listen "$name"
    run_keepalived 1 "$work/conf"
    local mine=$pid
    sleep "$seconds"
    kill "$mine"
    wait "$mine" 2>/dev/null
    keep "$name" "$frames" "keepalived 2.2.7: $6"
}

wanted() {
    [ "${#scenes[@]}" = 0 ] && return
    local scene
    for scene in "${scenes[@]}"; do [ "$scene" = "$1" ] && return; done
    return 1
}

frr() {
    local name=$1 address=$2 option=$3 words=$4 six=$5
    wanted "$name" || return
    local run=$work/$name mac=00:00:5e:00:01:33
    [ "$six" = 4 ] || mac=00:00:5e:00:02:33
    mkdir -p "$run" && chmod 755 "$work" && chown frr:frr "$run"
    ip -n "$one" link add vrrp-51 link eth0 type macvlan mode bridge
    ip -n "$one" link set vrrp-51 address $mac
    ip -n "$one" addr add "$address" dev vrrp-51
    ip -n "$one" link set vrrp-51 up
    printf 'interface eth0\n vrrp 51 version %s\n vrrp 51 priority 200\n vrrp 51 advertisement-interval 1000\n' "$option" >"$run/conf"
    local plain=${address%/*}
    if [ "$six" = 6 ]; then printf ' vrrp 51 ipv6 %s\n' "$plain" >>"$run/conf"; else printf ' vrrp 51 ip %s\n' "$plain" >>"$run/conf"; fi
    listen "$name"
    local common=(-u frr -g frr -z "$run/zebra.api" --vty_socket "$run")
    ip netns exec "$one" /usr/lib/frr/zebra "${common[@]}" -f /dev/null -i "$run/zebra.pid" -P 0 >"$run/zebra.log" 2>&1 &
    local zebra=$!
    started+=("$zebra")
    sleep 2
    ip netns exec "$one" /usr/lib/frr/vrrpd "${common[@]}" -f "$run/conf" -i "$run/vrrpd.pid" -P 0 >"$run/vrrpd.log" 2>&1 &
    local vrrpd=$!
    started+=("$vrrpd")
    sleep 8
    kill "$vrrpd" && wait "$vrrpd" 2>/dev/null
    kill "$zebra" && wait "$zebra" 2>/dev/null
    keep "$name" 4 "FRR 8.4.4 vrrpd: $words"
    [ -s "$here/$name.hex" ] && grep -qv '^#' "$here/$name.hex" || cat "$run"/*.log
    ip -n "$one" link del vrrp-51
}

scenes=("$@")
wire
pass='  authentication {\n    auth_type PASS\n    auth_pass lab-pass\n  }\n'
ah='  authentication {\n    auth_type AH\n    auth_pass lab-pass\n  }\n'
peer='  unicast_src_ip 10.7.0.1\n  unicast_peer {\n    10.7.0.2\n  }\n'
peer6='  unicast_src_ip fe80::1\n  unicast_peer {\n    fe80::2\n  }\n'
three='10.7.0.100/24\n10.7.0.101/24\n10.7.0.102/24'
twenty=$(for last in $(seq 100 119); do printf '10.7.0.%s/24\\n' "$last"; done)

scene ka_v2 6 4 "$three" '  priority 150' 'version 2, three addresses, no authentication; the last advert has priority 0'
scene ka_v2_pass 6 4 10.7.0.100/24 "  priority 150\n$pass" 'version 2, auth_type PASS, auth_pass lab-pass'
scene ka_v2_twenty 11 4 "$twenty" "  priority 254\n  advert_int 2" 'version 2, twenty addresses, advert_int 2, priority 254'
scene ka_v2_unicast 6 4 10.7.0.100/24 "  priority 150\n$pass$peer" 'version 2, unicast, auth_type PASS'
scene ka_v2_ah 9 7 "$three" "  priority 150\n$ah" 'version 2, auth_type AH, auth_pass lab-pass, multicast'
scene ka_v2_ah_short 6 4 10.7.0.100/24 "  priority 150\n${ah/lab-pass/abc}" 'version 2, auth_type AH, auth_pass abc'
scene ka_v2_ah_unicast 8 6 10.7.0.100/24 "  priority 150\n$ah$peer" 'version 2, auth_type AH, unicast'
scene ka_v3 5 4 "$three" '  version 3\n  priority 150' 'version 3, three addresses'
scene ka_v3_unicast 5 4 10.7.0.100/24 "  version 3\n  priority 150\n$peer" 'version 3, unicast'
scene ka_v3_old_checksum 5 4 10.7.0.100/24 "  version 3\n  priority 150\n  old_unicast_checksum\n$peer" 'version 3, unicast, old_unicast_checksum'
scene ka_v3_fast 1 6 10.7.0.100/24 '  version 3\n  priority 150\n  advert_int 0.01' 'version 3, advert_int 0.01'
scene ka_v3_slow 3 2 10.7.0.100/24 '  state MASTER\n  version 3\n  priority 255\n  advert_int 40.95' 'version 3, advert_int 40.95, priority 255'
scene ka_v6 5 4 'fe80::100/64\n2001:db8::100/64' '  version 3\n  priority 150' 'version 3 over IPv6, two addresses'
scene ka_v6_unicast 5 4 'fe80::100/64' "  version 3\n  priority 150\n$peer6" 'version 3 over IPv6, unicast'
# Debian's FRR 8.4.4 takes no priority 0 shutdown from a signal that we could wait for.
frr frr_v2 10.7.0.100/24 2 'version 2' 4
frr frr_v3 10.7.0.100/24 3 'version 3' 4
frr frr_v6 fe80::100/64 3 'version 3 over IPv6' 6

# Who continues the counter of AH: host 1 (150) is master, ends; host 2 (100) takes over; host 1 comes back.
if wanted ka_v2_ah_handover; then
    conf "$work/conf1" 10.7.0.100/24 "  priority 150\n$ah"
    conf "$work/conf2" 10.7.0.100/24 "  priority 100\n$ah"
    listen ka_v2_ah_handover
    run_keepalived 1 "$work/conf1"; first=$pid
    run_keepalived 2 "$work/conf2"; second=$pid
    sleep 8
    kill -KILL "$first" "$(cat "$work/vrrp1.pid")"
    wait "$first" 2>/dev/null
    sleep 8
    ip -n "$one" addr del 10.7.0.100/24 dev eth0 2>/dev/null
    run_keepalived 1 "$work/conf1"; first=$pid
    sleep 10
    kill "$first"; wait "$first" 2>/dev/null
    sleep 3
    kill "$second"; wait "$second" 2>/dev/null
    keep ka_v2_ah_handover 100 'keepalived 2.2.7: AH, two directors: 1 is killed, 2 takes over, 1 comes back, 1 ends, 2 ends'
    grep -h -i -E 'ah|seq|state|auth' "$work"/keepalived?.log | tail -n 60 >"${LOG:-/dev/null}"
fi
