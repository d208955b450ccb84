#!/bin/bash
# Runs a command with root's rights on a kernel that has ip_vs, and returns its exit status:
#
#     tests/lab/vm.sh [--work DIR] COMMAND [ARGUMENT ...]
#
# Directly where the running kernel has ip_vs; else in a small virtual machine with Debian's generic kernel, whose root
# is this machine's file system, read-only but for DIR (default: target/lab/vm). What the command prints appears here
# while it runs, and stays in DIR/log. LAB_SLOW tells it how slow the machine is (1, or 5 in emulation).
# LAB_NO_KVM=1 forces emulation; LAB_FORCE_VM=1 forces a machine where ip_vs is at hand.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/target/lab/vm
if [ "${1:-}" = --work ]; then work=$2; shift 2; fi
[ $# -gt 0 ] || { echo "usage: $0 [--work DIR] COMMAND [ARGUMENT ...]" >&2; exit 64; }

say() { printf 'vm: %s\n' "$*"; }

if [ -z "${LAB_FORCE_VM:-}" ] && "$here/has-ipvs.sh"; then
    say "this kernel ($(uname -r)) has ip_vs: no virtual machine needed"
    export LAB_SLOW=${LAB_SLOW:-1}
    if [ "$(id -u)" = 0 ]; then exec "$@"; else exec sudo --preserve-env "$@"; fi
fi

kernel=$("$here/kernel.sh")
vng=$root/target/lab/venv/bin/vng
[ -x "$vng" ] || { say "no $vng: run tests/lab/setup.sh first"; exit 1; }
mkdir -p "$work"
work=$(cd "$work" && pwd)
rm -f "$work"/{log,status,booted,kvm.bin}

# A /dev/kvm can be there and yet hang, be slower than emulation, or break on the processor's features: let a whole
# tiny machine run on it (a boot sector that writes 0x15 to port 0xf4, which ends QEMU with status 43).
kvm_works() {
    [ -z "${LAB_NO_KVM:-}" ] && [ -w /dev/kvm ] || return 1
    printf '\xb0\x15\xe6\xf4\xf4\xeb\xfd' >"$work/kvm.bin"
    truncate -s 510 "$work/kvm.bin"
    printf '\x55\xaa' >>"$work/kvm.bin"
    local status=0
    # In a shell of its own: "Aborted" shall not be printed.
    (exec 2>/dev/null; timeout 3 qemu-system-x86_64 -accel kvm -cpu host -smp 2 -m 64 -display none -nodefaults -no-reboot \
        -device isa-debug-exit,iobase=0xf4,iosize=1 -drive "file=$work/kvm.bin,format=raw,if=ide,readonly=on" \
        >/dev/null 2>&1 </dev/null; exit $?) 2>/dev/null || status=$?
    [ $status = 43 ]
}

if kvm_works; then acceleration=(); slow=1; say "KVM works"
else acceleration=(--disable-kvm); slow=5; say "no usable KVM: emulation, ten and more times slower; graces are multiplied by 5"
fi
export LAB_SLOW=${LAB_SLOW:-$slow}

# The command's words and the variables that tests know travel in a script.
{
    echo 'cat /proc/uptime >"'"$work"'/booted"'
    echo 'exec >"'"$work"'/log" 2>&1 </dev/null'
    echo 'mount -t tmpfs tmpfs /tmp/tandem-lab 2>/dev/null || { mkdir -p /tmp/tandem-lab && mount -t tmpfs tmpfs /tmp/tandem-lab; }'
    # Nobody else's clock: a test may set it.
    echo 'export LAB_VM=1'
    echo 'mkdir -p /run/netns; ulimit -c 0'
    echo 'for module in ip_vs ipip; do modprobe $module || echo "modprobe $module failed"; done'
    # Tunnel devices of the first namespace only: else each namespace gets a tunl0 of its own unasked.
    while IFS= read -r name; do
        case $name in
            LAB_* | TANDEM_* | NEXTEST* | RUST_* | PATH) printf 'export %s=%q\n' "$name" "${!name}" ;;
        esac
    done < <(compgen -e)
    printf 'export PATH=$PATH:/usr/sbin:/sbin\n'
    printf 'cd %q\n' "$PWD"
    printf '%q ' "$@"
    printf '\nstatus=$?\n'
    echo 'sync; echo $status >"'"$work"'/status"; exit $status'
} >"$work/script.sh"

boot() {
    : >"$work/log"
    tail -n +1 -F "$work/log" 2>/dev/null &
    local tail=$! began
    began=$(date +%s%N)
    # vng wants its sibling programs in PATH. Its standard output is not to be trusted as a file: QEMU truncates it.
    PATH=$(dirname "$vng"):$PATH timeout --kill-after 10 "${LAB_VM_LIMIT:-1500}" "$vng" "$@" --force-9p \
        -r "$kernel" --user root --cpus "$(nproc)" --memory 3G --rwdir="$work" --append loglevel=4 \
        -- bash "$work/script.sh" </dev/null 2>&1 | cat >"$work/console" &
    local machine=$! booted=
    while kill -0 $machine 2>/dev/null; do
        if [ -z "$booted" ] && [ -s "$work/booted" ]; then
            booted=$((($(date +%s%N) - began) / 1000000))
            say "booted ${kernel#/boot/vmlinuz-} in $booted ms"
        fi
        sleep 0.2
    done
    sleep 0.3
    kill $tail 2>/dev/null || true
    wait $tail 2>/dev/null || true
}

boot "${acceleration[@]}"
if [ ! -s "$work/booted" ] && [ ${#acceleration[@]} = 0 ]; then
    say "the machine did not come up with KVM; again in emulation"
    export LAB_SLOW=5
    sed -i 's/^export LAB_SLOW=.*/export LAB_SLOW=5/' "$work/script.sh"
    boot --disable-kvm
fi
if [ ! -s "$work/status" ]; then
    say "the machine ended without a status (limit ${LAB_VM_LIMIT:-1500} s); its console:"
    tail -n 40 "$work/console"
    exit 125
fi
exit "$(cat "$work/status")"
