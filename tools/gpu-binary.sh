#!/usr/bin/env bash
# Makes target/gpu-check/interdict: the release binary, stripped, to copy to a machine with a card and run there as
# `interdict gpu-check`. It needs no toolchain and no Vulkan to start: libc and what dlopen finds. PROFILE=dev takes
# the development build instead.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"
profile=${PROFILE:-release}
# The whole workspace's features, as every other build has them, so that nothing is built twice.
cargo build --profile "$profile" --workspace --exclude interdict-bench --exclude interdict-tests
folder=$profile
[ "$profile" != dev ] || folder=debug
mkdir -p target/gpu-check
strip -o target/gpu-check/interdict "${CARGO_TARGET_DIR:-target}/$folder/interdict"
# What it links: the C library and, once patterns are in, libhs. A Vulkan library here would be a mistake.
needed=$(objdump -p target/gpu-check/interdict | awk '/NEEDED/ {print $2}')
unwanted=$(grep -vE '^(libc|libm|libgcc_s|libhs|libstdc\+\+|ld-linux-x86-64|ld-linux-aarch64)\.so' <<<"$needed" || true)
if [ -n "$unwanted" ]; then
  echo "target/gpu-check/interdict links $unwanted" >&2
  exit 1
fi
ls -l target/gpu-check/interdict
