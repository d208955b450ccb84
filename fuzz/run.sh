#!/bin/bash
# Runs each fuzz target for a bounded time and prints one line of a table for each. Everything that is written lies
# below target/fuzz; inputs that fail are kept in target/fuzz/found/TARGET.
#
#   TIME=600       seconds for each target
#   TARGETS="..."  which ones; all by default
#   JOBS=1         processes for each target
#   CORPUS=folder  further inputs for the targets of keepalived.conf, read in place (files *.conf)
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
time=${TIME:-60} jobs=${JOBS:-1} corpus=${CORPUS:-}
read -ra targets <<<"${TARGETS:-lexer keepalived yaml vrrp netlink}"
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

status=0
rows=()
for target in "${targets[@]}"; do
    mkdir -p "$work/corpus/$target" "$work/found/$target"
    inputs=("$work/corpus/$target" "fuzz/seeds/$target")
    [ ! -d "fuzz/crashes/$target" ] || inputs+=("fuzz/crashes/$target")
    case $target in
        lexer | keepalived)
            dictionary=fuzz/keepalived.dict length=4096
            [ "$target" = keepalived ] || inputs+=(fuzz/seeds/keepalived)
            # Copies: libFuzzer takes no patterns, and a folder may hold more than configurations.
            mkdir -p "$work/shipped"
            for file in config/examples/*/*.conf tests/config/bad/*.conf ${corpus:+"$corpus"/*.conf}; do
                [ ! -f "$file" ] || cp "$file" "$work/shipped/$(tr -c 'a-zA-Z0-9.\n' - <<<"$file")"
            done
            inputs+=("$work/shipped")
            ;;
        yaml)
            dictionary=fuzz/yaml.dict length=4096
            mkdir -p "$work/shipped-yaml"
            for file in config/examples/*/*.yaml tests/config/bad/*.yaml; do
                cp "$file" "$work/shipped-yaml/$(tr -c 'a-zA-Z0-9.\n' - <<<"$file")"
            done
            inputs+=("$work/shipped-yaml")
            ;;
        *) dictionary='' length=1500 ;;
    esac
    say "$target: $time s"
    log=$work/$target.log
    before=$(find "$work/found/$target" -type f | wc -l)
    # -timeout: an input that takes longer is a finding. Memory is limited too: no text may cost gigabytes.
    # In forked mode a finding does not end the run.
    # The program itself, not `cargo fuzz run`: that leaves folders beside the sources.
    ASAN_OPTIONS=detect_odr_violation=0 "$work/build/$host/release/$target" "${inputs[@]}" \
        -fork="$jobs" -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 \
        -print_funcs=0 -max_total_time="$time" -timeout=5 -rss_limit_mb=1024 -max_len="$length" \
        -artifact_prefix="$work/found/$target/" ${dictionary:+-dict="$dictionary"} >"$log" 2>&1
    code=$?
    # "#123456: cov: 1 ft: 2 corp: 3 exec/s 4 oom/timeout/crash: 0/0/0 time: 5s"
    last=$(grep -a '^#[0-9]*: cov:' "$log" | tail -n 1)
    executions=$(sed -n 's/^#\([0-9]*\):.*/\1/p' <<<"$last")
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' <<<"$last")
    found=$(($(find "$work/found/$target" -type f | wc -l) - before))
    if [ -z "$executions" ]; then
        say "$target did not run (status $code):"
        tail -n 20 "$log"
        status=1
    fi
    [ "$found" = 0 ] || status=1
    rows+=("| $(date -u +%F) | $target | $time s x $jobs | ${executions:-0} | ${coverage:-0} | $found |")
done

printf '\n| date | target | time | executions | edges covered | failing inputs |\n| --- | --- | --- | --- | --- | --- |\n'
printf '%s\n' "${rows[@]}"
if [ "$status" != 0 ]; then
    printf '\nfailing inputs are in target/fuzz/found. To see one fail under the stable toolchain:\n'
    printf '  FUZZ_TARGET=keepalived FUZZ_INPUT=target/fuzz/found/... cargo test --test fuzz_seeds every_seed\n'
    printf 'To make it smaller:\n'
    printf '  cargo +nightly fuzz tmin --fuzz-dir fuzz --target-dir target/fuzz/build TARGET INPUT\n'
    printf 'Then mend the cause and keep the input in fuzz/crashes/TARGET.\n'
fi
exit "$status"
