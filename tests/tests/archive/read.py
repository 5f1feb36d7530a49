"""Reads the archive with DuckDB, pandas and pyarrow, and a file of the window with pyarrow; prints what each found."""

import json
import sys

import duckdb
import pandas
import pyarrow
import pyarrow.dataset
import pyarrow.ipc

archive, window = sys.argv[1:]
found = {}

glob = f"{archive}/*/*.parquet"
rows = duckdb.sql(f"""
    SELECT CAST(day AS VARCHAR), count(*), sum("amount.minor"), count(DISTINCT hex("card.tag.own")),
           count(label), sum(features['velocity.card.1h']), count(features['velocity.card.24h']),
           count(*) FILTER (list_contains(reasons, 'listed')), min(epoch_ms(settled)), max(epoch_ms(settled))
    FROM read_parquet('{glob}', hive_partitioning = true) GROUP BY day ORDER BY day""").fetchall()
found["duckdb"] = [[int(value) if not isinstance(value, str) else value for value in row] for row in rows]

frame = pandas.read_parquet(archive)
frame["day"] = frame["day"].astype(str)
found["pandas"] = [
    [day, len(of), int(of["amount.minor"].sum()), of["card.tag.own"].nunique(), int(of["label"].count()),
     int(sum(dict(features)["velocity.card.1h"] for features in of["features"])),
     sum(dict(features)["velocity.card.24h"] is not None for features in of["features"]),
     sum("listed" in reasons for reasons in of["reasons"]),
     int(of["settled"].min().timestamp() * 1000), round(of["settled"].max().timestamp() * 1000)]
    for day, of in sorted(frame.groupby("day"))
]

partitioning = pyarrow.dataset.partitioning(pyarrow.schema([("day", pyarrow.string())]), flavor="hive")
table = pyarrow.dataset.dataset(archive, partitioning=partitioning).to_table().sort_by("sequence")
found["pyarrow"] = {
    "sequences": table["sequence"].to_pylist(),
    "cards": [tag.hex() for tag in table["card.tag.own"].to_pylist()],
    "columns": sorted(table.schema.names),
    "version": table.schema.metadata[b"interdict.archive"].decode(),
}

with pyarrow.memory_map(window) as source:
    before = pyarrow.total_allocated_bytes()
    file = pyarrow.ipc.open_file(source)
    batch = file.get_batch(0)
    batch.validate(full=True)
    found["window"] = {
        "batches": file.num_record_batches,
        "rows": batch.num_rows,
        "copied": pyarrow.total_allocated_bytes() - before,
        "tenants": batch["tenant"].to_pylist()[:2],
        "cut_off": [time.timestamp() for time in batch["cut_off"].to_pylist()[:2]],
        "cards": [tag.hex() for tag in batch["card.tag.own"].to_pylist()],
        "fingerprints": batch["card.tag.own.fingerprint"].to_pylist(),
        "generation": batch["generation"].to_pylist()[0].hex(),
        "nulls": sum(column.null_count for column in batch.columns),
    }

print(json.dumps(found))
