#!/bin/bash
# Makes a Debian machine ready for `make test` and `make demo`. Does nothing, quickly, when all is there.
# Needs root or sudo for the packages; the virtual environment goes below target/lab.
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
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    # Services of these packages must not start: the lab runs them itself.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        trap 'as_root rm -f $policy' EXIT
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
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
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends rustup
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
