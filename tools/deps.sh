#!/usr/bin/env bash
# Installs what a fresh Debian machine lacks: a C compiler for ring and zstd, Vectorscan (the library behind patterns),
# curl and Rust; with `test` also promtool, which checks the metrics, openssl, which makes certificates, and Mesa's
# software Vulkan, on which the compute shaders are tested. Says nothing otherwise.
set -euo pipefail
export PATH="$HOME/.cargo/bin:$PATH"
need=()
command -v cc >/dev/null || need+=(build-essential)
command -v pkg-config >/dev/null || need+=(pkg-config)
pkg-config --exists libhs 2>/dev/null || need+=(libvectorscan-dev)
command -v cargo >/dev/null || { command -v curl >/dev/null || need+=(curl ca-certificates); }
[ "${1:-}" != test ] || command -v promtool >/dev/null || need+=(prometheus)
[ "${1:-}" != test ] || command -v openssl >/dev/null || need+=(openssl)
[ "${1:-}" != test ] || ls /usr/share/vulkan/icd.d/lvp_icd.*.json >/dev/null 2>&1 || need+=(mesa-vulkan-drivers libvulkan1)
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
