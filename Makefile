# Two commands matter: `make demo` and `make test`. Both install what they need (Debian packages, virtme-ng in
# target/lab); as root, or with sudo.

SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.PHONY: help build documents deb test-deb setup demo test lint unit ipvs lab-shell fuzz bench-config bench-addresses bench-check bench-memory bench-vrrp bench-core bench-status test-faults

help:
	@echo "make demo       watch a pair fail over, on this machine alone"
	@echo "make test       everything that CI runs"
	@echo "make test-faults the table of docs/faults.md again, with its figures (as root; what needs ip_vs: make test)"
	@echo "make build      target/release/tandem"
	@echo "make deb        target/deb/*.deb: Debian packages of it, with man pages and completions"
	@echo "make test-deb   installs, upgrades and purges them in a throw-away copy of this machine (as root)"
	@echo "make lab-shell  a shell as root on a kernel with ip_vs"
	@echo "make fuzz TIME=600     each fuzz target for so many seconds (needs the nightly toolchain)"
	@echo "make bench-config      reading large configurations, beside keepalived -t"
	@echo "make bench-addresses   thousands of addresses on one device, beside ip -batch (as root)"
	@echo "make bench-check       what checks cost, and how soon 1,000 of 10,000 failures are in the table"
	@echo "make bench-memory      bytes that each checked server takes, part by part"
	@echo "make bench-ipvs        the table at scale: first load, stop, reload, beside keepalived (as root)"
	@echo "make bench-core        start, idle cost, stop, size: beside keepalived (as root)"
	@echo "make bench-status      the status of 10,000 real servers: how soon it is told, what it does to adverts (as root)"
	@echo "make bench-vrrp        takeover, many addresses, many instances, load: beside keepalived (as root)"

setup:
	@tests/lab/setup.sh

build:
	cargo build --release --locked

# Man pages and shell completions, as they stand below /usr/share.
documents:
	@rm -rf target/documents
	@cargo run --locked --quiet --example documents -- target/documents

deb: build documents
	@deploy/deb/build.sh target/release/tandem target/documents target/deb

# With the unoptimised program: it is the package that is tried.
test-deb: documents
	@cargo build --locked --quiet
	@as_root=$$([ "$$(id -u)" = 0 ] || echo sudo)
	@$$as_root deploy/test-deb.sh target/debug/tandem target/documents

demo: setup
	@cargo build --locked --tests 2>&1 | tail -n 3
	@tests/lab/vm.sh "$$(tests/lab/binary.sh demo)"

test: setup
	@tests/lab/test.sh

# Parts of `make test`, for the impatient.
lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

unit:
	cargo nextest run --locked --lib

lab-shell: setup
	@echo "vm: type commands on standard input; the machine ends with the shell"
	@tests/lab/vm.sh bash -c "$${COMMAND:-ipvsadm -Ln; ip netns}"

fuzz:
	@fuzz/run.sh

# RUNS=7 of each; the files are made in target/bench.
bench-config:
	@cargo bench --locked --bench config

bench-addresses:
	@cargo bench --locked --bench addresses

# ONLY=TCP_CHECK|HTTP_GET, COUNT=10000 servers.
bench-check:
	@cargo bench --locked --bench check

# docs/faults.md: what each fault costs, all that needs no ip_vs. The rest is in `make test`.
test-faults: setup
	@cargo nextest run --locked --lib --test lab_vrrp --test run_cli --test run_commands --success-output immediate \
	    -E 'test(/^(faults|restart|life|interfaces|rights)::/) + test(=takeover::cable_of_the_master_pulled) + binary(run_cli) +
	        binary(run_commands) + test(/^(board|core::(recall|kept|pidfile)|process|cli::log|check::checkers::misc|vrrp::auth)::/)'

# RUNS=5, WINDOW=10 seconds of idleness. The program as it is released: the benchmark's own build is another.
bench-core:
	@cargo build --locked --release
	@mkdir -p target/bench
	@cp target/release/tandem target/bench/tandem
	@TANDEM_BIN=$$PWD/target/bench/tandem cargo bench --locked --bench core

# COUNT=10000 real servers, WINDOW=20 seconds that adverts are watched for.
bench-status:
	@cargo bench --locked --bench status

bench-memory:
	@cargo bench --locked --bench memory

# ONLY=takeover|many|instances|load|soak, RUNS=5 of each, WINDOW=15 seconds of instances and load, TIME=600 of the soak.
bench-vrrp:
	@LAB_REALTIME=1 cargo bench --locked --bench vrrp

# ONLY=reload|memory|load|hup, COUNT services, RUNS of each. What needs ip_vs runs in the virtual machine where this kernel
# has none, with fewer services: emulation is slow.
bench-ipvs: setup
	@case "$${ONLY:-}" in load | hup) ;; *) cargo bench --locked --bench ipvs;; esac
	@case "$${ONLY:-}" in reload | memory) exit;; esac
	@tests/lab/has-ipvs.sh && [ -z "$${ONLY:-}" ] && exit
	@program=$$(cargo bench --locked --no-run --bench ipvs 2>&1 | sed -n 's/.*Executable.*(\(.*\))$$/\1/p')
	@for part in $${ONLY:-load hup}; do
	@    tests/lab/vm.sh env ONLY=$$part COUNT="$${COUNT:-2000}" RUNS="$${RUNS:-3}" "$$(realpath "$$program")"
	@done
