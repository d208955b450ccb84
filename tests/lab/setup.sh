#!/bin/bash
# Makes a Debian machine ready for `make test` and `make demo`. Does nothing, quickly, when all is there.
# Needs root or sudo for the packages; the virtual environment goes below target/lab.
#
#     tests/lab/setup.sh [--tests]
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf 'setup: %s\n' "$*"; }

# Every package with its reason.
packages=(
    gcc            # the linker that rustc calls
    libc6-dev      # the C library's start files that the linker needs
    libssl-dev     # TLS of mail alerts is the system's OpenSSL
    pkg-config     # finds it
    iproute2       # ip: namespaces, bridges, addresses of the lab
    iputils-ping   # who answers to an address
    nftables       # nft: the kernel's rules as others read them
    tcpdump        # what leaves by which device
    openssl        # servers of odd certificates
    kmod           # modprobe ip_vs, here or in the virtual machine
    procps         # sysctl, ps for the lab's shell
    ipvsadm        # the yardstick of the IPVS table
    nginx-light    # the real servers
    keepalived     # the peer of the mixed pairs, and the yardstick
    frr            # vrrpd and bfdd, peers of the mixed pairs and of the BFD sessions
    haproxy        # the haproxy example
    curl           # what check scripts of the examples ask pages with
    psmisc         # killall, as check scripts have it
    dnsmasq-base   # the DNS server that DNS_CHECK asks
    python3-aiosmtpd # a mail server that SMTP_CHECK greets
    python3-grpcio # a gRPC server that GRPC_CHECK asks
    exim4-daemon-light # and one that refuses when it is told to
    tomcat10       # a server of its own kind for HTTP_GET; brings a Java with it
    socat          # services of UDP and TCP
    libfaketime    # a clock of its own for one director of a pair
    shellcheck     # the shipped scripts are checked with it
    groff-base     # reads the man pages
    dpkg-dev       # dpkg-shlibdeps, for the packages of make deb
)
# Only where the running kernel has no ip_vs: what boots one that has.
vm_packages=(
    qemu-system-x86     # the machine
    linux-image-amd64   # its kernel (the cloud image cannot mount the host's files)
    busybox-static      # its first programs
    python3-venv        # virtme-ng, which puts the three together, comes from PyPI
)
# With `--tests` alone: 100 MB to fetch that no demonstration needs. What cannot be had leaves its tests skipped, which they
# say.
test_packages=(
    chromium-headless-shell   # the status page in a real browser; the smallest one there is
    python3-prometheus-client # reads the metrics by rules of its own
)
# Reads metrics and alert rules as Prometheus does. Taken out of its package alone: that brings a server with a user of its own
# and a web of scripts as well.
promtool=target/lab/bin/promtool
virtme_ng='virtme-ng==1.42'

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else
        say "need root for: $*"
        say "cure: run as root, or install sudo"
        exit 1
    fi
}

if ! command -v apt-get >/dev/null; then
    say "this is not a Debian: install by hand what provides ${packages[*]} ${vm_packages[*]}, then run again"
    exit 1
fi

if tests/lab/has-ipvs.sh; then needs_vm=no; else needs_vm=yes; packages+=("${vm_packages[@]}"); fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    # Any generic kernel is good; its meta package need not be there. The same for nginx of another flavour.
    case $package in
        linux-image-amd64) tests/lab/kernel.sh >/dev/null 2>&1 && state=installed ;;
        pkg-config) command -v pkg-config >/dev/null && state=installed ;;
        nginx-light) command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] && state=installed ;;
        python3-venv) [ -x target/lab/venv/bin/vng ] && state=installed ;;
    esac
    [ "$state" = installed ] || missing+=("$package")
done
extra=() needs_promtool=no
if [ "${1:-}" = --tests ]; then
    for package in "${test_packages[@]}"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        case $package in
            chromium-headless-shell) (command -v chromium || command -v google-chrome) >/dev/null && state=installed ;;
        esac
        [ "$state" = installed ] || extra+=("$package")
    done
    command -v promtool >/dev/null || [ -x $promtool ] || needs_promtool=yes
fi

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 "$@"; }
get() { apt_get install -y --no-install-recommends "$@"; }

if [ $((${#missing[@]} + ${#extra[@]})) -gt 0 ] || [ $needs_promtool = yes ]; then
    # A foreign source that does not answer is no reason to give up: what is there decides.
    apt_get update || say "not every package list could be fetched: going on with what is there"
fi
if [ $((${#missing[@]} + ${#extra[@]})) -gt 0 ]; then
    say "installing ${missing[*]} ${extra[*]}"
    # Services of these packages must not start: the lab runs them itself.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        trap 'as_root rm -f $policy' EXIT
    fi
    if [ ${#missing[@]} -gt 0 ]; then get "${missing[@]}"; fi
    # Together, for one run of dpkg; one by one where one of them cannot be had.
    if [ ${#extra[@]} -gt 0 ] && ! get "${extra[@]}"; then
        for package in "${extra[@]}"; do
            get "$package" || say "$package cannot be had: the tests that need it are skipped"
        done
    fi
fi

# take_out PACKAGE FILE INTO: that file of that package. Nothing is installed, nobody's rights are needed.
take_out() (
    into=$(realpath -m "$3")
    unpacked=$(mktemp -d)
    trap 'rm -rf "$unpacked"' EXIT
    cd "$unpacked"
    apt-get download -q -o Acquire::Retries=3 "$1" && dpkg-deb --fsys-tarfile ./"$1"_*.deb | tar -x "./$2" || exit 1
    mkdir -p "$(dirname "$into")"
    # Whole or not at all, and not for others to change.
    install -m 755 "$2" "$into.new" && mv "$into.new" "$into"
)
if [ $needs_promtool = yes ]; then
    say "taking promtool out of the package prometheus"
    if ! take_out prometheus usr/bin/promtool $promtool || ! $promtool --version >/dev/null 2>&1; then
        rm -f $promtool
        say "promtool cannot be had: the tests that need it are skipped"
    fi
fi

if [ $needs_vm = yes ] && [ ! -x target/lab/venv/bin/vng ]; then
    say "installing $virtme_ng into target/lab/venv"
    mkdir -p target/lab
    python3 -m venv target/lab/venv
    target/lab/venv/bin/pip install --quiet "$virtme_ng"
fi

# Debian's own rustc is too old for this source (1.63 in Debian 12, 1.85 in 13), so the tool chain comes from rustup, which
# Debian packages from 13 on.
if ! command -v cargo >/dev/null && [ -n "$(apt-cache policy rustup 2>/dev/null | sed -n 's/.*Candidate: \([0-9].*\)/\1/p')" ]; then
    say "installing rustup and the stable tool chain"
    get rustup
    rustup default stable
fi
if ! command -v cargo >/dev/null; then
    say "no cargo. cure (as the user who builds; see https://rustup.rs):"
    say "    apt-get install curl && curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    say "then open a new shell, or: . ~/.cargo/env"
    exit 1
fi
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
actual=$(rustc --version | awk '{print $2}')
if [ "$(printf '%s\n' "$wanted" "$actual" | sort -V | head -n 1)" != "$wanted" ]; then
    say "rustc $actual is too old, $wanted or later is needed. cure: rustup update stable"
    exit 1
fi
if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    say "rustfmt or clippy is missing. cure: rustup component add rustfmt clippy"
    exit 1
fi
