#!/bin/bash
# What `make test` does: format, lints, documentation, unit and namespace tests here, IPVS tests on a kernel that has it.
# Goes on after a failure, so that one run tells everything, and ends with one line of totals; whatever was left out
# stands above it with its reason.
#
# Test programs whose name contains "ipvs" need ip_vs: they run in the lab's virtual machine where the running kernel
# has none. A test that cannot do its work on this machine prints a line "SKIPPED: reason" and is counted as skipped.
set -uo pipefail
cd "$(dirname "$0")/../.."
tests/lab/setup.sh --tests || exit 1
began=$SECONDS
out=target/lab/test
rm -rf "$out"
mkdir -p "$out"
export NEXTEST_HIDE_PROGRESS_BAR=1 CARGO_TERM_COLOR=never RUST_BACKTRACE=0
# The hunt draws its operations by chance; a suite that passes today passes tomorrow. Other seeds are for people.
export HUNT_SEED=${HUNT_SEED:-7}
passed=0 failed=0
failures=()

# step NAME COMMAND...: runs it, shows what it says and keeps that in $out/NAME.log.
step() {
    local name=$1 status
    shift
    printf '\n=== %s (%d s)\n' "$name" $((SECONDS - began))
    "$@" 2>&1 | tee "$out/$name.log"
    status=${PIPESTATUS[0]}
    [ "$status" = 0 ] || printf '=== %s FAILED (status %s)\n' "$name" "$status"
    return "$status"
}
bad() { failed=$((failed + 1)); failures+=("$1"); }
check() { if step "$@"; then passed=$((passed + 1)); else bad "$1"; fi; }

# count NAME STATUS: adds the totals that libtest or nextest printed. A run that failed without a failed test, or that
# printed no totals, is a failure.
count() {
    local name=$1 status=$2 runs p f again
    read -r runs p f < <(awk '
        /^test result:/ { runs++; p += $4; f += $6 }
        /^ *Summary \[/ {
            runs++
            for (i = 1; i < NF; i++) {
                if ($(i + 1) ~ /^passed/) p += $i
                if ($(i + 1) ~ /^(failed|timed|exec)/) f += $i
            }
        }
        END { print runs + 0, p + 0, f + 0 }' "$out/$name.log")
    # Those that passed at their second try: nextest counts them as passed, the lab's machine does not.
    again=$(grep -c '^FLAKY: ' "$out/$name.log")
    p=$((p + again)) f=$((f - again))
    passed=$((passed + p))
    failed=$((failed + f))
    if [ "$f" = 0 ] && { [ "$status" != 0 ] || [ "$runs" = 0 ]; }; then bad "$name (status $status, $runs totals)"; fi
}

check format cargo fmt --check
check lints cargo clippy --locked --quiet --all-targets -- -D warnings
check documentation env RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --no-deps --document-private-items

# Root's rights for the tests, not for the build.
if [ "$(id -u)" = 0 ]; then
    tests/lab/clean.sh
else
    sudo tests/lab/clean.sh
    host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${host}_RUNNER=sudo -E"
fi

native=() kernel=()
for file in tests/*.rs; do
    name=$(basename "$file" .rs)
    case $name in
        demo) ;; # a demonstration, not a list of tests: `make demo`
        *ipvs*) kernel+=(--test "$name") ;;
        *) native+=(--test "$name") ;;
    esac
done

if command -v cargo-nextest >/dev/null; then
    step unit cargo nextest run --locked --no-fail-fast --lib --bins
    count unit $?
    step namespaces cargo nextest run --locked --no-fail-fast "${native[@]}"
    count namespaces $?
else
    echo "note: no cargo-nextest (https://nexte.st): cargo test runs the same tests, one program after the other"
    step unit cargo test --locked --no-fail-fast --lib --bins
    count unit $?
    step namespaces cargo test --locked --no-fail-fast "${native[@]}" -- --show-output --test-threads 2
    count namespaces $?
fi
step doctests cargo test --locked --quiet --doc
count doctests $?

programs=$(cargo test --locked --no-run "${kernel[@]}" 2>&1 | sed -n 's|.*Executable tests/.* (\(.*\))$|\1|p')
{
    cat <<'SCRIPT'
status=0
# run THREADS PROGRAM: up to three tests that failed are run once more, one after the other. What passes then is named
# as flaky: a machine that its host holds still for seconds breaks every measured time, a defect fails twice.
run() {
    local said failed name
    said=$(mktemp)
    "$2" --show-output --test-threads "$1" | tee "$said"
    [ "${PIPESTATUS[0]}" = 0 ] && return
    mapfile -t failed < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$said")
    if [ ${#failed[@]} = 0 ] || [ ${#failed[@]} -gt 3 ]; then status=1; return; fi
    for name in "${failed[@]}"; do
        if "$2" --exact "$name" --show-output --test-threads 1 | sed 's/^/again: /; s/^again: MEASURED/MEASURED/'; [ "${PIPESTATUS[0]}" = 0 ]
        then echo "FLAKY: $name"
        else status=1; fi
    done
}
SCRIPT
    for program in $programs; do
        # The kernel's dump of services goes on, after each message, by a count over all namespaces: a service that is
        # deleted in one makes a long dump in another miss one. So the test of whole large tables runs alone.
        case $program in */ipvs_kernel-* | */ipvs_matrix-*) threads=1 ;; *) threads=2 ;; esac
        echo "printf '\n--- ${program##*/}\n'"
        echo "run $threads $PWD/$program"
    done
    echo 'exit $status'
} >"$out/ipvs.sh"
step ipvs tests/lab/vm.sh bash "$PWD/$out/ipvs.sh"
count ipvs $?
# A program that went down with its machine is no silent success.
have=$(grep -c '^test result:' "$out/ipvs.log")
[ "$have" -gt 0 ] && [ "$have" = "$(wc -w <<<"$programs")" ] || bad "ipvs: $have of $(wc -w <<<"$programs") test programs reported"

# What was left out: tests that said so (the runner counted them as passed), and tests that are marked #[ignore].
sed -n 's/^ *SKIPPED: *//p' "$out"/*.log | sort >"$out/skipped"
said=$(wc -l <"$out/skipped")
passed=$((passed - said))
sed -n 's/^test \(.*\) \.\.\. ignored.*/\1: marked #[ignore]/p' "$out"/*.log >>"$out/skipped"
if command -v cargo-nextest >/dev/null; then
    cargo nextest list --locked --lib --bins "${native[@]}" --run-ignored only -T oneline 2>/dev/null \
        | sed -n 's/ *$//; s/^..*/&: marked #[ignore]/p' >>"$out/skipped"
fi

printf '\n=== measured\n'
sed -n 's/^ *MEASURED //p' "$out/namespaces.log" "$out/ipvs.log" | sort -u
printf '\n=== totals after %d s\n' $((SECONDS - began))
sed -n 's/^FLAKY: /FLAKY (failed, then passed): /p; s/^ *FLAKY .*\[.*\] *\(([^)]*)\)\{0,1\} *\(.*\)$/FLAKY (failed, then passed): \2/p' "$out"/*.log | sort -u
flaky=$(sed -n 's/^FLAKY: //p' "$out"/*.log)
sed -n 's/^test \(.*\) \.\.\. FAILED$/FAILED: \1/p; s/^ *\(FAIL\|TIMEOUT\|SIG[A-Z]*\) \[.*\] *\(([^)]*)\)\{0,1\} *\(.*\)$/FAILED: \3/p' "$out"/*.log | sort -u | { [ -z "$flaky" ] && cat || grep -vF -- "$flaky"; }
for failure in "${failures[@]}"; do printf 'FAILED: %s\n' "$failure"; done
sed 's/^/SKIPPED: /' "$out/skipped" | sort | uniq -c
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$(wc -l <"$out/skipped")"
[ "$failed" = 0 ]
