#!/bin/bash
# Installs, upgrades, swaps, removes and purges the packages in a throw-away copy of this machine: an overlay of its root in
# namespaces of its own, whose changes are kept in memory and forgotten. The machine itself and its network stay as they are.
#
#     deploy/test-deb.sh BINARY DOCUMENTS        (as root)
#
# What is tried is what dpkg, the maintainer scripts and the programs do; no systemd runs in the copy, its units are judged by
# systemd-analyze. Prints PASS or FAIL for each step, then "N passed, N failed"; exit code 0 when none failed.
set -uo pipefail

# --- outside: build, and enter namespaces -----------------------------------------------------------------------------
case ${1:-} in
    --mount | --inside) ;;
    *)
        [ $# = 2 ] || { echo "usage: $0 BINARY DOCUMENTS" >&2; exit 64; }
        [ "$(id -u)" = 0 ] || { echo "$0: namespaces and dpkg need root" >&2; exit 1; }
        here=$(cd "$(dirname "$0")" && pwd)
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        DEB_COMPRESSION="-Zgzip -z1" "$here/deb/build.sh" "$1" "$2" "$work/one" || exit 1
        # The next version: the same program, and a default configuration with one more line, so that dpkg must decide.
        dpkg-deb -R "$work"/one/tandem_*.deb "$work/next" || exit 1
        sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
        echo '# A line of the next version.' >>"$work/next/etc/tandem/tandem.conf"
        mkdir "$work/two"
        dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/next" "$work/two" >/dev/null || exit 1
        rm -rf "$work/next"
        cp "$0" "$work/test.sh"
        unshare --mount --pid --net --ipc --uts --fork --kill-child bash "$work/test.sh" --mount "$work"
        exit
        ;;
esac

# --- in the namespaces: mount the copy, and enter it --------------------------------------------------------------------
if [ "$1" = --mount ]; then
    work=$2
    mkdir "$work/memory"
    # The overlay's upper half must not lie on the file system of its lower half.
    mount -t tmpfs -o size=2g tmpfs "$work/memory" || exit 1
    mkdir "$work"/memory/{upper,work,root}
    layers=lowerdir=/,upperdir=$work/memory/upper,workdir=$work/memory/work
    if ! mount -t overlay overlay -o "$layers" "$work/memory/root"; then
        echo "SKIPPED: this kernel mounts no overlay of / here"
        exit 0
    fi
    root=$work/memory/root
    mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount --rbind /sys "$root/sys" &&
        mount -t tmpfs tmpfs "$root/run" && mount -t tmpfs tmpfs "$root/tmp" || exit 1
    mkdir -p "$root/run/lock" "$root/tmp/debs"
    cp -r "$work/one" "$work/two" "$work/test.sh" "$root/tmp/debs/"
    exec chroot "$root" bash /tmp/debs/test.sh --inside
fi

# --- in the copy ----------------------------------------------------------------------------------------------------------
cd /tmp || exit 1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C
one=$(echo /tmp/debs/one/tandem_*.deb) two=$(echo /tmp/debs/two/tandem_*.deb) swap=$(echo /tmp/debs/one/tandem-keepalived_*.deb)
passed=0 failed=0

# expect CODE WHAT COMMAND...
expect() {
    local want=$1 what=$2 got
    shift 2
    "$@" >out 2>&1
    got=$?
    if [ "$got" = "$want" ]; then
        echo "PASS $what"
        passed=$((passed + 1))
    else
        echo "FAIL $what: exit code $got, not $want: $*"
        sed 's/^/    /' out
        failed=$((failed + 1))
    fi
}
same() { [ "$1" = "$2" ] || { echo "\"$1\" is not \"$2\""; return 1; }; }
none() { if [ -e "$1" ] || [ -L "$1" ]; then echo "$1 is there"; return 1; fi; }
says() { local pattern=$1; shift; "$@" >said 2>&1; grep -Eq -- "$pattern" said || { cat said; return 1; }; }
# Every file below the folders that packages fill, but for what dpkg, adduser and the shared indices write.
picture() {
    find /etc /usr /var /opt /root -xdev \( -path /var/lib/dpkg -o -path /var/cache -o -path /var/log -o -path /var/lib/systemd \
        -o -path /usr/share/man -o -path /var/lib/apt \) -prune -o -printf '%y %m %u:%g %p %l\n' |
        grep -Ev ' /etc/(passwd|group|shadow|gshadow|subuid|subgid)-? ' | sort
    find /var/lib/systemd /usr/share/man -xdev -printf '%p\n' | sort
}

# Nothing of an earlier installation.
dpkg -P tandem-keepalived tandem >/dev/null 2>&1
picture >before
# Each dpkg would wait for the disk hundreds of times, for files that are in memory.
mkdir -p /etc/dpkg/dpkg.cfg.d && echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/tandem-test
keepalived=$(md5sum </usr/sbin/keepalived 2>/dev/null)

echo "--- install"
expect 0 "tandem installs" dpkg -i "$one"
expect 0 "nothing is half done" same "$(dpkg --audit)" ""
expect 0 "the program runs" says "^tandem [0-9]" tandem --version
expect 0 "dpkg finds its files as they were packed" same "$(dpkg -V tandem)" ""
expect 0 "configuration: mode, owner, group" same "$(stat -c '%a %U:%G' /etc/tandem/tandem.conf)" "640 root:tandem"
expect 0 "configuration: no problem" tandem check --strict /etc/tandem/tandem.conf
expect 0 "configuration: it would change nothing" tandem plan /etc/tandem/tandem.conf
expect 1 "configuration: the unit takes it for nothing to run" sh -c "$(sed -n 's/^ExecCondition=//p' /lib/systemd/system/tandem.service)"
expect 0 "user tandem" getent passwd tandem
expect 0 "user tandem_script" getent passwd tandem_script
expect 2 "no user keepalived_script: scripts of old files go on as root" getent passwd keepalived_script
expect 0 "the unit is enabled" same "$(readlink /etc/systemd/system/multi-user.target.wants/tandem.service | sed 's|^/usr||')" \
    /lib/systemd/system/tandem.service
if command -v systemd-analyze >/dev/null; then
    expect 0 "systemd has nothing to say of the unit" same "$(systemd-analyze verify tandem.service tandem@x.service 2>&1 | grep -i tandem)" ""
fi
if command -v man >/dev/null; then
    for page in 8/tandem 8/tandem-run 8/tandem-check 5/tandem.conf; do
        expect 0 "man page $page" says NAME man -l "/usr/share/man/man${page%%/*}/${page#*/}.${page%%/*}.gz"
    done
fi
expect 0 "bash reads its completion" bash -n /usr/share/bash-completion/completions/tandem
expect 0 "an example of the documents is good" tandem check --text-only --pair \
    /usr/share/doc/tandem/examples/config/lvs-nat/director-1.conf /usr/share/doc/tandem/examples/config/lvs-nat/director-2.conf

for file in prometheus/tandem.rules.yml grafana/tandem.json tandem.schema.json openapi.json; do
    expect 0 "/usr/share/tandem/$file is there for other programs" test -s "/usr/share/tandem/$file"
done
if command -v python3 >/dev/null; then
    for file in /usr/share/tandem/*.json /usr/share/tandem/grafana/*.json; do
        expect 0 "$file is JSON" python3 -m json.tool "$file" /dev/null
    done
fi
if command -v promtool >/dev/null; then
    expect 0 "Prometheus takes the alert rules" promtool check rules /usr/share/tandem/prometheus/tandem.rules.yml
fi
# Of the documents in one folder each link leads to a file of the package.
links() {
    local lost
    lost=$(cd /usr/share/doc/tandem && grep -oE '\]\([^)#: ]+[)#]' ./*.md | tr -d ')#' | sed 's/:\](/ /' | while read -r page link; do
        test -e "$link" || echo "$page: $link"
    done)
    [ -z "$lost" ] || { echo "$lost"; return 1; }
}
expect 0 "links between the documents lead somewhere" links

echo "--- upgrade"
echo '# Mine.' >>/etc/tandem/tandem.conf
mine=$(md5sum </etc/tandem/tandem.conf)
mkdir -p /var/lib/tandem && echo '{}' >/var/lib/tandem/kept
systemctl --root=/ disable tandem.service >/dev/null 2>&1 || rm -f /etc/systemd/system/multi-user.target.wants/tandem.service
expect 0 "the next version installs" dpkg -i --force-confdef --force-confold "$two"
expect 0 "the next version is there" says '\+next$' dpkg-deb -f /tmp/debs/two/tandem_*.deb Version
expect 0 "dpkg says so too" says '^Version: .*\+next$' dpkg -s tandem
expect 0 "a changed configuration is kept" same "$(md5sum </etc/tandem/tandem.conf)" "$mine"
expect 0 "its mode, owner and group too" same "$(stat -c '%a %U:%G' /etc/tandem/tandem.conf)" "640 root:tandem"
expect 0 "the new default lies beside it" test -e /etc/tandem/tandem.conf.dpkg-dist
expect 0 "what was disabled stays so" none /etc/systemd/system/multi-user.target.wants/tandem.service
expect 0 "what the daemon kept is kept" test -e /var/lib/tandem/kept
expect 0 "and the way back" dpkg -i --force-confdef --force-confold "$one"

echo "--- the name keepalived"
expect 0 "tandem-keepalived installs" dpkg -i "$swap"
expect 0 "keepalived is Tandem" says Tandem keepalived -v
printf "global_defs {\n router_id one\n}\n" >good.conf
expect 0 "keepalived -t takes a good file" keepalived -t -f good.conf
printf 'nonsense 1\n' >bad.conf
expect 5 "keepalived -t refuses a bad one, by its exit code" keepalived -t -f bad.conf
expect 0 "genhash is Tandem's" says "--?server" genhash --help
if [ -n "$keepalived" ]; then
    expect 0 "Debian's program lies aside" same "$(md5sum </usr/sbin/keepalived.keepalived)" "$keepalived"
fi
expect 0 "it is removed" dpkg -r tandem-keepalived
expect 0 "no diversion is left" same "$(dpkg-divert --list | grep tandem)" ""
if [ -n "$keepalived" ]; then
    expect 0 "Debian's program is back" same "$(md5sum </usr/sbin/keepalived)" "$keepalived"
else
    expect 0 "no program of that name is left" none /usr/sbin/keepalived
fi

echo "--- with services"
# No systemd runs here: two stand-ins tell what the scripts ask of it. A unit runs where there is a file of its name.
mkdir -p /run/systemd/system /tmp/bin /tmp/units
cat >/tmp/bin/systemctl <<'END'
#!/bin/sh
case "$*" in
    *list-units*) cd /tmp/units && for unit in tandem*; do [ ! -e "$unit" ] || echo "$unit loaded active running"; done ;;
    *"--property MainPID"*) for unit; do :; done; cat "/tmp/units/$unit" 2>/dev/null || echo 0 ;;
    *is-active*) exit 3 ;;
esac
END
cat >/tmp/bin/deb-systemd-invoke <<'END'
#!/bin/sh
echo "$*" >>/tmp/invoked
if [ "$1" = stop ]; then rm -f "/tmp/units/$2"; fi
END
chmod 755 /tmp/bin/*
PATH=/tmp/bin:$PATH
# Daemons of the old program, as those three units run them: they wait for a file that nobody writes.
mkfifo /tmp/never
for unit in tandem.service tandem@left.service keepalived.service; do
    if [ "$unit" = keepalived.service ]; then
        /usr/libexec/tandem/keepalived --dont-fork --no-syslog --use-file /tmp/never >/dev/null 2>&1 &
    else
        tandem run --instance "$unit" --config /tmp/never >/dev/null 2>&1 &
    fi
    echo $! >"/tmp/units/$unit"
done
daemons=$(cat /tmp/units/*)
sleep 0.5
expect 0 "an upgrade while they run" dpkg -i --force-confold "$two"
expect 0 "each of them is taken over, keepalived.service too" same "$(sort -u /tmp/invoked | tr '\n' ' ')" \
    "restart keepalived.service restart tandem.service restart tandem@left.service "
mkdir -p /run/tandem && : >/run/tandem/memory.json && : >/tmp/invoked
expect 0 "tandem is removed while keepalived.service is Tandem" dpkg -r tandem
expect 0 "its own units are stopped, and that one is not" same "$(sort -u /tmp/invoked | tr '\n' ' ')" "stop tandem.service stop tandem@left.service "
expect 0 "what that one remembers stays" test -e /run/tandem/memory.json
for daemon in $daemons; do
    # The supervisor first: it would start another worker, which waits for that file without hearing that it is alone.
    # shellcheck disable=SC2046 # numbers
    kill -9 "$daemon" $(cat "/proc/$daemon/task/$daemon/children")
done
rm -f /tmp/units/* && : >/tmp/invoked
expect 0 "it is installed again" dpkg -i --force-confold "$one"
expect 0 "what ran then is started" same "$(sort -u /tmp/invoked | tr '\n' ' ')" "start tandem.service start tandem@left.service "
: >/tmp/invoked
expect 0 "and another upgrade" dpkg -i --force-confold "$two"
expect 0 "starts nothing that does not run" same "$(cat /tmp/invoked)" ""
rm -rf /run/systemd /tmp/bin /tmp/units
PATH=${PATH#/tmp/bin:}
hash -r

echo "--- remove and purge"
expect 0 "tandem is removed" dpkg -r tandem
expect 0 "nothing of it is in /run" none /run/tandem
expect 0 "the program is gone" none /usr/bin/tandem
expect 0 "the configuration stays" same "$(md5sum </etc/tandem/tandem.conf)" "$mine"
expect 0 "it is installed again" dpkg -i --force-confold "$one"
expect 0 "with the same configuration" same "$(md5sum </etc/tandem/tandem.conf)" "$mine"
expect 0 "tandem is purged" dpkg -P tandem
rm -f /etc/tandem/tandem.conf.dpkg-dist /etc/dpkg/dpkg.cfg.d/tandem-test
picture >after
expect 0 "nothing is left but its users" diff before after
expect 0 "a purged one is purged again" dpkg -P tandem

if command -v lintian >/dev/null; then
    echo "--- lintian"
    expect 0 "lintian has no error and no warning" lintian --no-cfg --allow-root --fail-on error,warning "$one" "$swap"
else
    echo "note: lintian is not installed: not run"
fi
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
