#!/usr/bin/env bash
# Serves the embedded default, streams the simulated world through it and prints what became of it.
# run.sh DATA HTTP ONCE: with ONCE the server ends after the feed, without it stays up until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
DATA=${1:?DATA} HTTP=${2:?HOST:PORT} ONCE=${3:-}
BIN=${CARGO_TARGET_DIR:-target}/release
fail() { echo "make run: $*" >&2; exit 1; }
# Counting the decisive stages of every verdict costs a second evaluation a stage; worth it for a table, not for use.
stats=sample
[ -z "$ONCE" ] || stats=full

if (exec 3<>"/dev/tcp/${HTTP%:*}/${HTTP##*:}") 2>/dev/null; then
  fail "$HTTP is in use; choose another address with HTTP=127.0.0.1:PORT"
fi

# A fresh folder a run: the same world has the same ids, so on an old folder every answer would be a replayed one.
mkdir -p "$DATA"
folder=$(mktemp -d "$DATA/$(date +%Y-%m-%dT%H-%M-%S)-XXXX")
log=$folder/serve.log
echo "data folder: $folder (a fresh one each run; delete $DATA/ whenever you like), log: $log"
"$BIN/interdict" serve --config deploy/default.toml --data "$folder" --http "$HTTP" --stats "$stats" 2>"$log" &
server=$!

# Ctrl-C reaches the server too; asking twice does no harm.
stop() {
  trap '' INT TERM
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" && status=0 || status=$?
  server=
  return "$status"
}
trap '[ -z "$server" ] || stop || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for ((tries = 0; ; tries++)); do
  kill -0 "$server" 2>/dev/null || { cat "$log" >&2; fail "the server ended before it was ready"; }
  ! (exec 3<>"/dev/tcp/${HTTP%:*}/${HTTP##*:}") 2>/dev/null || break
  ((tries < 300)) || fail "the server did not listen on $HTTP within 30 s; see $log"
  sleep 0.1
done
echo "streaming the simulated world (20,000 messages, six weeks of event time) through POST http://$HTTP/v1/decisions"
echo
# Waits for /readyz itself.
"$BIN/interdict-bench" world --url "http://$HTTP" --once --stages || fail "the world was not answered; see $log"
[ "$stats" = full ] || echo "(decisive: of one verdict in 64; ONCE=1 asks them all)"
kill -0 "$server" 2>/dev/null || { tail -5 "$log" >&2; fail "the server ended during the feed"; }

if [ -n "$ONCE" ]; then
  stop || fail "the server did not end as it should; see $log"
  echo
  echo "stopped; everything is in $folder"
  exit 0
fi
cat <<TRY

The API is up; Ctrl-C stops it. Try:
  curl -s http://$HTTP/v1/status
  curl -s http://$HTTP/metrics | head
  curl -s http://$HTTP/openapi.json | head -c 400
  curl -s http://$HTTP/v1/decisions -d '{"id": "try-1", "time": "2026-03-14T10:00:00Z", "channel": "ecommerce",
    "amount": {"minor": 5767, "currency": "EUR"}, "card": {"pan": "4111111111111111"}}'
  curl -s http://$HTTP/v1/decisions -d '{"id": "try-2", "time": "2026-03-14T10:00:05Z", "channel": "ecommerce",
    "amount": {"minor": 180000, "currency": "EUR"}, "card": {"pan": "4111111111111111"}}'
TRY
wait "$server"
server=
