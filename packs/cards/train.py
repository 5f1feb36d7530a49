#!/usr/bin/env python3
"""Trains packs/cards/models/cards.onnx on slots that the engine itself has stamped; nothing is computed twice.

    python3 -m venv venv && venv/bin/pip install \\
        numpy==2.4.6 scikit-learn==1.9.1 pyarrow==26.0.1 skl2onnx==1.20.0 onnx==1.18.0 protobuf==5.29.5
    interdict replay transactions-2018-04-to-07.parquet --config deploy/handbook.toml \\
        --out DIR --features features.parquet
    venv/bin/python packs/cards/train.py features.parquet            # writes models/cards.onnx and models/cards.yaml
    interdict replay … --features scored.parquet                     # again, now with the column models.cards
    venv/bin/python packs/cards/train.py scored.parquet --check      # the engine's average precision and scikit-learn's

Fit on everything before July of the feed's first year, from the day on which every window is covered; July validates.
The labels of the fit are final; what the features know of labels is a week late, as in deploy/handbook.toml. Same
file, same versions, same model: the seed is fixed and early stopping is off.
(onnx 1.18 with protobuf 5: newer ones refuse the booleans that skl2onnx 1.20 writes for gaps.)
"""

import argparse
import datetime
import pathlib
import sys

import numpy as np
import pyarrow.parquet as pq
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score

HERE = pathlib.Path(__file__).parent
NAME = "cards"

# Slot → what counts where it is missing. Counts and sums are missing only while the node's own history is shorter than
# the window: then the model says nothing. A share is missing wherever the terminal had no payment: a gap, which the
# trees know.
INPUTS = {
    "amount.minor": "undecided",
    **{f"features.card.{what}_{days}d": "undecided" for what in ("count", "sum", "mean") for days in (7, 14, 30)},
    "features.terminal.fraud_share_3d": "gap",
    "features.terminal.fraud_share_7d": "gap",
    "features.terminal.fraud_count_3d": "undecided",
    "features.terminal.fraud_count_7d": "undecided",
    "features.terminal_before.fraud_share_14d": "gap",
}
DELAY_AND_WINDOW = datetime.timedelta(days=35)  # The longest reach back: 14 d that ended 21 d ago.
VALIDATE_MONTH = 7
TREES, DEPTH, LEAVES = 150, 6, 31
GOOD_SHARE = 0.3  # Of the good payments of the fit, this share is taken: 99 of 100 are good.


def read(path):
    """Inputs as float32 (gaps are NaN), labels, event times, and which rows the model may answer."""
    table = pq.read_table(path)
    missing = [slot for slot in INPUTS if slot not in table.column_names]
    if missing:
        sys.exit(f"{path} has no column {missing[0]}: does deploy/handbook.toml load this pack?")
    columns = [table[slot].to_numpy(zero_copy_only=False).astype(np.float64) for slot in INPUTS]
    answers = np.all([~np.isnan(c) for c, how in zip(columns, INPUTS.values()) if how == "undecided"], axis=0)
    label = table["label"].to_numpy(zero_copy_only=False).astype(bool)
    time = table["event_time"].to_numpy(zero_copy_only=False).astype("datetime64[ms]")
    return np.stack(columns, 1).astype(np.float32), label, time, answers, table


def split(time, answers):
    """Rows to fit on and rows to validate on."""
    month = time.astype("datetime64[M]").astype(int) % 12 + 1
    covered = time >= time.min() + np.timedelta64(int(DELAY_AND_WINDOW.total_seconds() * 1000), "ms")
    return (month < VALIDATE_MONTH) & covered & answers, month == VALIDATE_MONTH


def fit(x, y, rows):
    """The classifier on fraud and a fixed sample of the rest."""
    taken = rows & (y | (np.random.default_rng(20180701).random(len(y)) < GOOD_SHARE))
    weight = np.where(y[taken], 1.0, 1.0 / GOOD_SHARE)
    model = HistGradientBoostingClassifier(
        max_iter=TREES,
        learning_rate=0.08,
        max_depth=DEPTH,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=60,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=1,
    )
    return model.fit(x[taken], y[taken], sample_weight=weight)


def export(model, path):
    """Without ZipMap, with the slots' names in the file: the engine refuses other inputs, or another order."""
    from skl2onnx import to_onnx

    sample = np.zeros((1, len(INPUTS)), np.float32)
    proto = to_onnx(model, sample, options={"zipmap": False}, target_opset={"": 15, "ai.onnx.ml": 3})
    slots = proto.metadata_props.add()
    slots.key, slots.value = "interdict.slots", ",".join(INPUTS)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def declare(path, june, july):
    """The declaration beside the file."""
    lines = [
        "# Written by train.py.",
        f"id: {NAME}",
        f"file: {NAME}.onnx",
        "doc: >-",
        "  Probability of fraud by gradient-boosted trees, fit on the Handbook's card payments of May and June 2018",
        f"  ({june} rows), average precision {july:.4f} on July with labels a week late.",
        "output: probabilities",
        "class: 1",
        "score: {from: probability}",
        "counts: true",
        "inputs:",
    ]
    lines += [f"  - {{slot: {slot}, missing: {missing}}}" for slot, missing in INPUTS.items()]
    path.write_text("\n".join(lines) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("features", help="what `interdict replay --features` wrote")
    arguments.add_argument("--check", action="store_true", help="compare the engine's scores with scikit-learn's")
    arguments = arguments.parse_args()
    x, y, time, answers, table = read(arguments.features)
    rows, july = split(time, answers)
    model = fit(x, y, rows)
    ours = july & answers
    p = model.predict_proba(x[ours])[:, 1]
    sklearn = average_precision_score(y[ours], p)
    if not arguments.check:
        onnx = HERE / "models" / f"{NAME}.onnx"
        export(model, onnx)
        declare(HERE / "models" / f"{NAME}.yaml", int(rows.sum()), sklearn)
        print(f"{onnx}: {onnx.stat().st_size} bytes, {model.n_iter_} trees")
        print(f"July: {ours.sum()} rows, {y[ours].sum()} frauds, average precision {sklearn:.4f}")
        return
    column = f"models.{NAME}"
    if column not in table.column_names:
        sys.exit(f"{arguments.features} has no column {column}: replay with the model in the pack")
    scores = table[column].to_numpy(zero_copy_only=False).astype(np.float64)[ours]
    if np.isnan(scores).any():
        sys.exit(f"{int(np.isnan(scores).sum())} payments of July have no score")
    engine = average_precision_score(y[ours], scores)
    off = np.abs(scores - np.floor(1000 * p + 0.5)).max()
    print(f"July, {ours.sum()} rows: engine {engine:.4f}, scikit-learn {sklearn:.4f}, apart {abs(engine - sklearn):.4f}")
    print(f"largest difference of a score: {off:.0f} of 1000")
    if abs(engine - sklearn) > 0.005 or off > 1:
        sys.exit("the engine and scikit-learn differ")


if __name__ == "__main__":
    main()
