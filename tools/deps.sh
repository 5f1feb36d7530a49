#!/usr/bin/env bash
# Installs what a fresh Debian machine lacks: a C compiler for ring and zstd, Vectorscan (the library behind patterns),
# curl and Rust; with `test` also promtool, which checks the metrics, openssl, which makes certificates, Mesa's software
# Vulkan, on which the compute shaders are tested, minisign, which signs packs, Go with x/mod, which checks the consortium's
# log, and node; and, in folders beside what cargo builds, what reads the archive (DuckDB, pandas, pyarrow), the log
# (pymerkle, cryptography), and what tags are held against (@noble/curves). Says
# nothing otherwise.
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
[ "${1:-}" != test ] || command -v go >/dev/null || need+=(golang-go)
[ "${1:-}" != test ] || [ -d /usr/share/gocode/src/golang.org/x/mod/sumdb ] || need+=(golang-golang-x-mod-dev)
[ "${1:-}" != test ] || python3 -c 'import ensurepip, venv' 2>/dev/null || need+=(python3-venv)
[ "${1:-}" != test ] || command -v minisign >/dev/null || need+=(minisign)
[ "${1:-}" != test ] || command -v node >/dev/null || need+=(nodejs)
[ "${1:-}" != test ] || command -v npm >/dev/null || need+=(npm)
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
if [ "${1:-}" = test ]; then
  cd "$(dirname "$0")/.."
  venv=${CARGO_TARGET_DIR:-target}/test-venv
  # A copy of what was asked for says that it is there whole.
  if ! cmp -s tests/requirements.txt "$venv/requirements.txt"; then
    echo "installing what reads the archive and the log: $(tr '\n' ' ' <tests/requirements.txt)"
    # Their tests fail without them under CI=true, and say so elsewhere.
    python3 -m venv "$venv" &&
      "$venv/bin/python" -m pip install -q --disable-pip-version-check -r tests/requirements.txt &&
      cp tests/requirements.txt "$venv/requirements.txt" || echo "left out: they need PyPI" >&2
  fi
  npm=${CARGO_TARGET_DIR:-target}/test-npm
  if ! cmp -s tests/conformance/package-lock.json "$npm/package-lock.json"; then
    echo "installing what tags are held against: @noble/curves"
    mkdir -p "$npm" && cp tests/conformance/package.json "$npm/" &&
      cp tests/conformance/package-lock.json "$npm/npm-shrinkwrap.json" &&
      npm ci --prefix "$npm" --ignore-scripts --no-audit --no-fund --silent &&
      cp tests/conformance/package-lock.json "$npm/" || echo "left out: it needs the npm registry" >&2
  fi
fi
