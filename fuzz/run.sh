#!/bin/bash
# Runs each fuzz target for a bounded time and prints one line of a table for each. Everything that is written lies
# below target/fuzz; inputs that fail are kept in target/fuzz/found/TARGET.
#
#   TIME=600       seconds for each target
#   TARGETS="..."  which ones; all by default
#   JOBS=1         how many of them at a time
#   CORPUS=folder  further inputs for the targets of keepalived.conf, read in place (files *.conf)
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
time=${TIME:-60} jobs=${JOBS:-1} corpus=${CORPUS:-}
read -ra targets <<<"${TARGETS:-lexer keepalived yaml vrrp receive bfd netlink probes pair}"
work=$PWD/target/fuzz

say() { printf 'fuzz: %s\n' "$*"; }
missing() {
    say "$1"
    say "cure: $2"
    exit 2
}

command -v rustup >/dev/null || missing "no rustup: libFuzzer's instrumentation needs a nightly compiler" "https://rustup.rs"
rustup run nightly rustc --version >/dev/null 2>&1 \
    || missing "no nightly toolchain: only nightly instruments for libFuzzer (Tandem itself builds with stable)" \
        "rustup toolchain install nightly --profile minimal"
command -v c++ >/dev/null || missing "no C++ compiler: libFuzzer's runtime is C++" "apt-get install g++"
if command -v cargo-fuzz >/dev/null; then
    fuzzer=cargo-fuzz
else
    fuzzer=$work/tools/bin/cargo-fuzz
    if [ ! -x "$fuzzer" ]; then
        say "cargo-fuzz is built once, below target/fuzz/tools"
        cargo install --quiet --locked --root "$work/tools" --version 0.13.2 cargo-fuzz \
            || missing "cargo-fuzz could not be installed" "cargo install cargo-fuzz"
    fi
fi
# cargo-fuzz asks cargo for the manifest, and a file rust-toolchain or a default toolchain would choose stable.
export RUSTUP_TOOLCHAIN=nightly CARGO_TERM_COLOR=never
flags=(--fuzz-dir fuzz --target-dir "$work/build")
host=$(rustc -vV | sed -n 's/^host: //p')
mkdir -p "$work"
say "building (instrumented, with the address sanitizer, overflow checks and debug assertions)"
if ! "$fuzzer" build "${flags[@]}" >"$work/build.log" 2>&1; then
    tail -n 40 "$work/build.log"
    missing "the targets do not build (target/fuzz/build.log)" "see above"
fi

# Copies of the shipped files, as further seeds: libFuzzer takes no patterns, and folders hold other files too.
rm -rf "$work/shipped"
mkdir -p "$work/shipped/conf" "$work/shipped/yaml" "$work/rows"
for file in config/examples/*/*.{conf,yaml} tests/config/bad/*.{conf,yaml} ${corpus:+"$corpus"/*.conf}; do
    [ ! -f "$file" ] || cp "$file" "$work/shipped/${file##*.}/$(tr -c 'a-zA-Z0-9.\n' - <<<"$file")"
done

# one TARGET: runs it and writes its row to $work/rows/TARGET.
one() {
    local target=$1 log=$work/$1.log found=$work/found/$1
    local inputs=("$work/corpus/$target" "fuzz/seeds/$target") dictionary='' length=1500
    mkdir -p "$work/corpus/$target" "$found"
    [ ! -d "fuzz/crashes/$target" ] || inputs+=("fuzz/crashes/$target")
    case $target in
        lexer) inputs+=(fuzz/seeds/keepalived "$work/shipped/conf") dictionary=fuzz/keepalived.dict length=4096 ;;
        keepalived) inputs+=("$work/shipped/conf") dictionary=fuzz/keepalived.dict length=4096 ;;
        yaml) inputs+=("$work/shipped/yaml") dictionary=fuzz/yaml.dict length=4096 ;;
    esac
    local before began=$SECONDS
    before=$(find "$found" -type f | wc -l)
    # -timeout: an input that takes longer is a finding; so is one that takes two gigabytes.
    # The program itself, not `cargo fuzz run`: that leaves folders beside the sources.
    local run=("$work/build/$host/release/$target" "${inputs[@]}" -print_funcs=0 -print_final_stats=1 -timeout=5
        -rss_limit_mb=2048 -max_len="$length" -artifact_prefix="$found/" ${dictionary:+-dict="$dictionary"})
    export ASAN_OPTIONS=detect_odr_violation=0:quarantine_size_mb=64
    "${run[@]}" -max_total_time="$time" >"$log" 2>&1
    # After a finding the rest of the time goes to the forking mode, which is slower and goes on over findings.
    local left=$((time - (SECONDS - began)))
    if [ "$left" -gt 5 ]; then
        "${run[@]}" -max_total_time="$left" -fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 >"$log.2" 2>&1
    else
        rm -f "$log.2"
    fi
    # "stat::number_of_executed_units: 123", and when forking "#123: cov: 4 ft: 5 ..."
    local executions coverage
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    [ ! -f "$log.2" ] || executions=$((${executions:-0} + $(sed -n 's/^#\([0-9]*\): cov:.*/\1/p' "$log.2" | tail -n 1)))
    coverage=$(cat "$log" "$log.2" 2>/dev/null | grep -ao ' cov: [0-9]*' | sort -k2n | tail -n 1 | tr -dc 0-9)
    if [ -z "$executions" ]; then
        say "$target did not run:"
        tail -n 20 "$log"
    fi
    local new=$(($(find "$found" -type f | wc -l) - before))
    echo "| $(date -u +%F) | $target | $((SECONDS - began)) s | ${executions:-0} | ${coverage:-0} | $new |" >"$work/rows/$target"
    say "$target: done"
}

rm -f "$work"/rows/*
for target in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    say "$target: $time s"
    one "$target" &
done
wait

printf '\n| date | target | time | executions | edges covered | failing inputs |\n| --- | --- | --- | --- | --- | --- |\n'
status=0
for target in "${targets[@]}"; do
    cat "$work/rows/$target"
    # Executions or findings: the fourth and the sixth column.
    awk -F'|' '$5 + 0 == 0 || $7 + 0 > 0 { exit 1 }' "$work/rows/$target" || status=1
done
if [ "$status" != 0 ]; then
    printf '\nfailing inputs are in target/fuzz/found. To see one fail under the stable toolchain:\n'
    printf '  FUZZ_TARGET=keepalived FUZZ_INPUT=target/fuzz/found/... cargo test --test fuzz_seeds every_seed\n'
    printf 'To make it smaller:\n'
    printf '  cargo +nightly fuzz tmin --fuzz-dir fuzz --target-dir target/fuzz/build TARGET INPUT\n'
    printf 'Then mend the cause and keep the input in fuzz/crashes/TARGET.\n'
fi
exit "$status"
