#!/usr/bin/env bash
# cargo-fuzz over every target of tests/fuzz for FUZZ_SECONDS each (default 60); ends at the first crash.
set -euo pipefail
cd "$(dirname "$0")/../tests"
export PATH="$HOME/.cargo/bin:$PATH"
seconds=${FUZZ_SECONDS:-60}
fail() { echo "make fuzz: $*" >&2; exit 1; }
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "FUZZ_SECONDS is \"$seconds\", expected whole seconds above 0"
cargo +nightly --version >/dev/null 2>&1 ||
  fail "needs nightly Rust (libFuzzer's instrumentation is not in stable): rustup toolchain install nightly"
cargo +nightly fuzz --version >/dev/null 2>&1 || fail "needs cargo-fuzz: cargo install --locked cargo-fuzz"
targets=$(cargo +nightly fuzz list)
[ -n "$targets" ] || fail "no targets in tests/fuzz"
for target in $targets; do
  echo "fuzzing $target for $seconds s"
  # What libFuzzer finds goes to a folder that git ignores; the seeds in corpus/ stay as they are.
  mkdir -p "fuzz/target/corpus/$target"
  cargo +nightly fuzz run "$target" "fuzz/target/corpus/$target" "fuzz/corpus/$target" -- -max_total_time="$seconds" \
    -timeout=10 -rss_limit_mb=2048 || fail "target $target; the input is in tests/fuzz/artifacts/$target"
done
echo "no crash: $(echo "$targets" | tr '\n' ' ')($seconds s each)"
