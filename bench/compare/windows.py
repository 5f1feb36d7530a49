#!/usr/bin/env python3
"""Computes the Handbook's windows with DuckDB and polars (PyPI), for comparison with the engine's features.

Per transaction, for the customer's and the terminal's events in (t - w, t], six windows w: count, sum and max of the
amount, and (second case) the number of different terminals or customers. Reads every *.parquet under INTERDICT_DATA
that has the Handbook's columns; prints one JSON object on stdout (progress on stderr). Each run is a process of its
own, so that CPU time and caches are the run's own.

Rows with the same key and time: SQL and polars include all of them, the engine only those sequenced up to now, so
values agree where (key, time) is unique; this script compares the sums of both engines with each other.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

KEYS = {"CUSTOMER_ID": "TERMINAL_ID", "TERMINAL_ID": "CUSTOMER_ID"}
WINDOWS = ["1h", "6h", "1d", "7d", "14d", "28d"]
INTERVALS = ["1 hour", "6 hours", "1 day", "7 days", "14 days", "28 days"]
COLUMNS = {"TX_DATETIME", "TX_AMOUNT", *KEYS}


def find(root, by_name):
    """The first Parquet file under root with the Handbook's columns; by its name where polars is not at hand."""
    if by_name:
        files = sorted(pathlib.Path(root).glob("handbook/*.parquet"))
        return files[0] if files else sys.exit(f"windows.py: no handbook/*.parquet under {root}")
    import polars

    for path in sorted(pathlib.Path(root).rglob("*.parquet")):
        if COLUMNS <= set(polars.read_parquet_schema(path)):
            return path
    sys.exit(f"windows.py: no Parquet file with columns {sorted(COLUMNS)} under {root}")


def duckdb_run(path, distinct, threads, rows):
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    limit = f"LIMIT {rows}" if rows else ""
    connection.execute(
        f"CREATE TABLE tx AS SELECT {', '.join(sorted(COLUMNS))} FROM read_parquet(?) ORDER BY TX_DATETIME {limit}",
        [str(path)],
    )
    started = clock()
    checks = []
    for key, other in KEYS.items():
        parts, outer = [], []
        for number, interval in enumerate(INTERVALS):
            # The frame (t - w, t]: RANGE is closed at both ends and times are whole seconds.
            over = (
                f"OVER (PARTITION BY {key} ORDER BY TX_DATETIME RANGE BETWEEN INTERVAL '{interval}' - "
                "INTERVAL '1 second' PRECEDING AND CURRENT ROW)"
            )
            parts += [f"count(*) {over} AS c{number}", f"sum(TX_AMOUNT) {over} AS s{number}", f"max(TX_AMOUNT) {over} AS m{number}"]
            outer += [f"sum(c{number})", f"sum(s{number})", f"sum(m{number})"]
            if distinct:
                parts.append(f"count(DISTINCT {other}) {over} AS d{number}")
                outer.append(f"sum(d{number})")
        row = connection.execute(f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(parts)} FROM tx)").fetchone()
        checks.append([float(value) for value in row])
    return finish(started, connection.execute("SELECT count(*) FROM tx").fetchone()[0], checks)


def polars_run(path, distinct, _threads, rows):
    import polars

    frame = polars.read_parquet(path, columns=sorted(COLUMNS)).sort("TX_DATETIME")
    frame = frame.head(rows) if rows else frame
    started = clock()
    checks = []
    for key, other in KEYS.items():
        check = []
        for window in WINDOWS:
            expressions = [
                polars.len().alias("c"),
                polars.col("TX_AMOUNT").sum().alias("s"),
                polars.col("TX_AMOUNT").max().alias("m"),
            ]
            if distinct:
                expressions.append(polars.col(other).n_unique().alias("d"))
            rolled = frame.rolling("TX_DATETIME", period=window, closed="right", group_by=key).agg(expressions)
            names = ["c", "s", "m", "d"] if distinct else ["c", "s", "m"]
            check += [float(rolled[name].sum()) for name in names]
        checks.append(check)
    return finish(started, frame.height, checks)


def clock():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def finish(started, transactions, checks):
    wall, cpu = clock()
    return {"transactions": transactions, "wall_s": wall - started[0], "cpu_s": cpu - started[1], "checks": checks}


def measure(arguments, path, engine, aggregates, threads):
    """One run, in a process of its own."""
    count = 1 if threads == "one" else os.cpu_count()
    command = [sys.executable, __file__, "--child", engine, "--file", str(path), "--threads", str(count)]
    command += ["--distinct"] if aggregates == "all" else []
    command += ["--rows", str(arguments.rows)] if arguments.rows else []
    environment = {**os.environ, "POLARS_MAX_THREADS": str(count)}
    print(f"windows.py: {engine}, {aggregates}, {threads} thread(s)", file=sys.stderr)
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
    return {"engine": engine, "aggregates": aggregates, "threads": threads, **json.loads(output)}


def agree(runs):
    """DuckDB and polars compute the same numbers; floating-point sums to nine digits."""
    by_case = {}
    for run in runs:
        by_case.setdefault(run["aggregates"], []).append([value for check in run["checks"] for value in check])
    for aggregates, all_values in by_case.items():
        for values in all_values[1:]:
            for one, other in zip(all_values[0], values, strict=True):
                if abs(one - other) > 1e-9 * max(abs(one), 1.0):
                    sys.exit(f"windows.py: {aggregates}: {one} and {other} differ")


def replay(arguments, path):
    """Transactions and wall seconds of `interdict replay` on the same file, as it reports them itself."""
    transactions, seconds = 0, []
    for number in range(arguments.runs if arguments.replay else 0):
        out = pathlib.Path(arguments.work) / f"replay-{os.getpid()}-{number}"
        command = [arguments.replay, "replay", str(path), "--config", arguments.config, "--out", str(out), "--json"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        summary = json.loads(output.strip().splitlines()[-1])
        transactions = summary["transactions"]
        seconds.append(summary["timing"]["elapsed_s"])
        print(f"windows.py: replay, {transactions} transactions in {seconds[-1]:.1f} s", file=sys.stderr)
        shutil.rmtree(out)
    return transactions, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each case")
    parser.add_argument("--rows", type=int, default=0, help="only the first so many transactions (0: all)")
    parser.add_argument("--replay", help="the interdict binary, to replay the same file beside")
    parser.add_argument("--config", default="deploy/handbook.toml", help="configuration of the replay")
    parser.add_argument("--work", default="target/interdict-bench", help="folder for the replay's output")
    parser.add_argument("--replay-only", action="store_true", help="no DuckDB and polars; needs no packages")
    parser.add_argument("--child", choices=["duckdb", "polars"], help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--distinct", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run = {"duckdb": duckdb_run, "polars": polars_run}[arguments.child]
        print(json.dumps(run(arguments.file, arguments.distinct, arguments.threads, arguments.rows)))
        return
    if arguments.replay and arguments.rows:
        sys.exit("windows.py: --replay runs the whole file; leave out --rows")
    root = os.environ.get("INTERDICT_DATA") or sys.exit("windows.py: INTERDICT_DATA names the folder of the data")
    path = find(root, arguments.replay_only)
    transactions, replay_s = replay(arguments, path)
    runs = []
    for _ in range(0 if arguments.replay_only else arguments.runs):
        for aggregates in ["moments", "all"]:
            for threads in ["one", "all"]:
                for engine in ["duckdb", "polars"]:
                    runs.append(measure(arguments, path, engine, aggregates, threads))
    agree(runs)
    for run in runs:
        del run["checks"]
    if runs:
        if transactions not in (0, runs[0]["transactions"]):
            sys.exit(f"windows.py: replay judged {transactions} of {runs[0]['transactions']} transactions")
        transactions = runs[0]["transactions"]
    print(json.dumps({"transactions": transactions, "runs": runs, "replay_s": replay_s}))


if __name__ == "__main__":
    main()
