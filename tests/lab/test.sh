#!/bin/bash
# What `make test` does after the set-up: format, lints, documentation, unit and namespace tests here, IPVS tests on a
# kernel that has it. Ends with one line of totals; whatever was left out stands above it with its reason.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=target/lab/test
mkdir -p $out
began=$SECONDS
say() { printf '\n=== %s (%d s)\n' "$*" $((SECONDS - began)); }

say "format"
cargo fmt --check
say "lints"
cargo clippy --locked --all-targets --quiet -- -D warnings
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet

say "unit and namespace tests"
# Root makes namespaces; the programs are built as whoever calls.
ipvs_tests=(ipvs_kernel lab_ipvs lab_examples_ipvs)
present=()
for name in "${ipvs_tests[@]}"; do
    if [ -e tests/$name.rs ]; then present+=("$name"); fi
done
cargo build --locked --tests --quiet
export NEXTEST_HIDE_PROGRESS_BAR=1 RUST_BACKTRACE=0
filter=$(printf ' or binary(%s)' "${present[@]}")
status=0
if command -v cargo-nextest >/dev/null; then
    run=(cargo nextest run --locked --no-fail-fast --success-output=never -E "not (${filter# or })")
else
    echo "cargo-nextest is not there: cargo test runs the same tests, one program after the other"
    run=(cargo test --locked --no-fail-fast --lib --bins)
    for path in tests/*.rs; do
        name=$(basename "$path" .rs)
        [[ " ${present[*]} demo " == *" $name "* ]] || run+=(--test "$name")
    done
fi
if [ "$(id -u)" = 0 ]; then as_root=(); else as_root=(sudo --preserve-env env "PATH=$PATH"); fi
"${as_root[@]}" "${run[@]}" 2>&1 | tee $out/native.log || status=1

say "IPVS tests: ${present[*]}"
{
    echo 'status=0'
    for name in "${present[@]}"; do
        threads=2
        echo "echo '--- $name'"
        echo "$(tests/lab/binary.sh $name) --test-threads=$threads --show-output || status=1"
    done
    echo 'exit $status'
} > $out/ipvs.sh
tests/lab/vm.sh bash "$PWD/$out/ipvs.sh" > $out/ipvs.log 2>&1 || status=1
grep -E '^(vm:|--- |test |test result|MEASURED|SKIPPED)' $out/ipvs.log || true
if grep -q FAILED $out/ipvs.log || [ $status != 0 ]; then
    echo "--- the whole log of the IPVS tests (target/lab/test/ipvs.log), its last 200 lines:"
    tail -n 200 $out/ipvs.log
fi

say "totals"
grep -hE '^ *(MEASURED)' $out/native.log $out/ipvs.log || true
grep -hE 'SKIPPED:' $out/native.log $out/ipvs.log | sort | uniq -c || true
passed=0 failed=0 skipped=0
add() { passed=$((passed + ${1:-0})); failed=$((failed + ${2:-0})); skipped=$((skipped + ${3:-0})); }
if grep -q 'tests run:' $out/native.log; then
    line=$(grep 'tests run:' $out/native.log | tail -n 1)
    add "$(grep -oE '[0-9]+ passed' <<<"$line" | grep -oE '[0-9]+' || true)" \
        "$(grep -oE '[0-9]+ (failed|timed out)' <<<"$line" | grep -oE '[0-9]+' | paste -sd+ | bc 2>/dev/null || true)"
fi
while read -r ok bad ignored; do add "$ok" "$bad" "$ignored"; done < <(
    sed -nE 's/^test result: .*\. ([0-9]+) passed; ([0-9]+) failed; ([0-9]+) ignored;.*/\1 \2 \3/p' $out/native.log $out/ipvs.log
)
skipped=$((skipped + $(cat $out/native.log $out/ipvs.log | grep -c 'SKIPPED:' || true)))
# A run that ended before its tests did is a failure whatever was counted.
if [ "$passed" = 0 ] || ! grep -q '^test result' $out/ipvs.log; then status=1; fi
if [ $status != 0 ] && [ $failed = 0 ]; then failed=1; fi
printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
exit $status
