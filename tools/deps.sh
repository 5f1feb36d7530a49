#!/usr/bin/env bash
# Installs what a fresh Debian machine lacks: a C compiler for ring and zstd, curl and Rust; with `test` also promtool,
# which checks the metrics. Says nothing otherwise.
set -euo pipefail
export PATH="$HOME/.cargo/bin:$PATH"
need=()
command -v cc >/dev/null || need+=(build-essential)
command -v cargo >/dev/null || { command -v curl >/dev/null || need+=(curl ca-certificates); }
[ "${1:-}" != test ] || command -v promtool >/dev/null || need+=(prometheus)
if ((${#need[@]})); then
  sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  echo "installing: ${need[*]}"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${need[@]}"
fi
if ! command -v cargo >/dev/null; then
  echo "installing Rust by rustup"
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c rustfmt -c clippy
fi
