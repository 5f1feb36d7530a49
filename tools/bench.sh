#!/usr/bin/env bash
# Every benchmark beside its alternative, in one go on this machine; the only writer of bench/results.json,
# bench/RESULTS.md and docs/curves. What cannot be measured here (no data, no Python) is left out and said so, never filled in.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"
target=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR=$target
work=$target/interdict-bench
# Shorter than criterion's 3 s and 5 s: the whole of it is meant to be run often. ROUNDS is of the server and of the
# comparison handler, alternating; RUNS of the replay and of each of DuckDB's and polars' cases;
# CURVE_S is the length of one point of the curves, SURGE_S of the overload and of what follows it.
WARM_S=${WARM_S:-0.5} MEASURE_S=${MEASURE_S:-1} ROUNDS=${ROUNDS:-4} RATE=${RATE:-2000} RUNS=${RUNS:-2}
CURVE_S=${CURVE_S:-4} SURGE_S=${SURGE_S:-4} RESTART_EVENTS=${RESTART_EVENTS:-1000000}
SETTLE_EVENTS=${SETTLE_EVENTS:-1000000} LEAVES=${LEAVES:-10000000}
SECONDS=0
left_out=()
step() { printf '\n== %s (%d s so far)\n' "$1" "$SECONDS"; }

for folder in "${INTERDICT_DATA:-}" shared/data ../shared/data ../../shared/data; do
  [ -n "$folder" ] && [ -d "$folder/handbook" ] && INTERDICT_DATA=$(cd "$folder" && pwd) && break
done
data=
if [ -d "${INTERDICT_DATA:-}/handbook" ]; then
  data=1
  export INTERDICT_DATA
else
  left_out+=("features, decision, decode/parquet, replay, windows: no handbook/ found; set INTERDICT_DATA")
fi
benches=()
for file in bench/benches/*.rs; do
  name=$(basename "$file" .rs)
  # The others leave out what they have no data for themselves.
  [ -z "$data" ] && [ "$name" = features ] || benches+=(--bench "$name")
done

step "building"
# In one go with what the benches need: alone they have other features, and half of all dependencies are built twice.
cargo build --release -p interdict -p interdict-bench --bins --benches
cargo bench -p interdict-bench "${benches[@]}" --no-run

# Stages come from this run only: what an earlier one left would carry this commit's name.
rm -rf "$target/criterion" "$work"
mkdir -p "$work"
step "stages, criterion"
cargo bench -p interdict-bench "${benches[@]}" -- --warm-up-time "$WARM_S" --measurement-time "$MEASURE_S" --noplot

step "interdict serve beside the empty handler, $ROUNDS rounds"
"$target/release/interdict-bench" run-all --binary "$target/release/interdict" --work "$work" --rounds "$ROUNDS" \
  --rate "$RATE" --seconds 6 --step-seconds 1.5 --measure-only

step "curves: parts of saturation, lanes 0, 1, 2, journal os and disk, beside the empty handler"
"$target/release/interdict-bench" curves --binary "$target/release/interdict" --work "$work" \
  --seconds "$CURVE_S" --step-seconds 1

step "a start with an image of the state and one from the journal, $RESTART_EVENTS payments"
"$target/release/interdict-bench" restart --work "$work" --events "$RESTART_EVENTS" --runs 2

step "the window hunted for a changed pack beside a replay, and the gate beside a map, $SETTLE_EVENTS payments"
"$target/release/interdict-bench" settle --binary "$target/release/interdict" --work "$work" --events "$SETTLE_EVENTS"

step "a log of the consortium with $LEAVES leaves"
"$target/release/interdict-bench" log --work "$work" --leaves "$LEAVES"

step "three times saturation, and a tenant at ten times its share"
"$target/release/interdict-bench" surges --binary "$target/release/interdict" --work "$work" \
  --seconds "$SURGE_S"

windows=()
if [ -n "$data" ]; then
  step "replay of the Handbook beside DuckDB and polars, $RUNS runs"
  python=$target/venv/bin/python
  compare=(bench/compare/windows.py --runs "$RUNS" --replay "$target/release/interdict" --work "$work")
  if [ -x "$python" ] || python3 -m venv "$target/venv"; then
    "$python" -m pip install -q --disable-pip-version-check -r bench/compare/requirements.txt || python=
  else
    python=
  fi
  if [ -z "$python" ]; then
    left_out+=("windows: DuckDB and polars need python3-venv and PyPI")
    compare+=(--replay-only)
  fi
  if command -v "${python:-python3}" >/dev/null; then
    "${python:-python3}" "${compare[@]}" >"$work/windows.json"
    windows=(--windows "$work/windows.json")
  else
    left_out+=("replay: needs python3")
  fi
  rm -rf "$work"/replay-*
fi

step "report"
rm -f bench/results.json
"$target/release/interdict-bench" report --criterion "$target/criterion" --work "$work" "${windows[@]}"
for line in "${left_out[@]}"; do echo "left out: $line"; done
echo "done in $((SECONDS / 60)) min $((SECONDS % 60)) s; bench/RESULTS.md"
