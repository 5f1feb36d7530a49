#!/usr/bin/env bash
# Runs every test and closes with `N passed, N failed, N skipped`, the skipped ones by name.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# --no-fail-fast: one broken test must not hide the state of the others.
cargo test --workspace --no-fail-fast 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
passed=$(grep -aoE '^test result: .* ([0-9]+) passed' "$log" | grep -oE '[0-9]+ passed' | awk '{n+=$1} END {print n+0}')
failed=$(grep -aoE '^test result: .*' "$log" | grep -oE '[0-9]+ failed' | awk '{n+=$1} END {print n+0}')
skipped=$(grep -aE '^test .* \.\.\. ignored' "$log" | sed -E 's/^test (.*) \.\.\. ignored.*/\1/')
count=$(printf '%s' "$skipped" | grep -c . || true)
[ -z "$skipped" ] || printf 'skipped:\n%s\n' "$skipped"
echo "$passed passed, $failed failed, $count skipped"
# A build error fails no test; the exit status still says so.
[ "$status" = 0 ] && [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
