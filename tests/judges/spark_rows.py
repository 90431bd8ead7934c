"""Rows that Spark wrote down and rows that `tarn hudi read` prints, in one form."""

from __future__ import annotations

import datetime
import json
import struct
from decimal import Decimal


def single(value: float) -> float:
    """As a 32-bit number."""
    return struct.unpack("f", struct.pack("f", value))[0]


def of_tarn(value, like):
    """What tarn printed, in the form of `like`, which Spark wrote down."""
    if value is None or like is None:
        return value
    if isinstance(like, dict) and len(like) == 1:
        kind, = like
        if kind == "decimal":
            return {"decimal": format(Decimal(str(value)), "f")}
        if kind == "date":
            return {"date": value}
        if kind == "bytes":
            return {"bytes": value.removeprefix("\\x")}
        if kind == "time":
            return {"time": datetime.datetime.fromisoformat(value.removesuffix("+00")).isoformat(timespec="microseconds")}
    if isinstance(like, dict) and isinstance(value, dict):
        return {name: of_tarn(item, like.get(name)) for name, item in value.items()}
    if isinstance(like, list) and isinstance(value, list):
        return [of_tarn(item, like[i] if i < len(like) else None) for i, item in enumerate(value)]
    if isinstance(like, str) and isinstance(value, int):
        return str(value)  # Spark takes a timestamp that is a partition column for text.
    if isinstance(like, float):
        return single(value) if single(like) == like else float(value)
    return value


def key_of(row: dict):
    return (row["id"], row.get("_hoodie_partition_path", row.get("city")))


def alike(spark: list[dict], tarn: list[dict], partitions: tuple[str, ...]) -> None:
    """Takes out of an incremental read what Spark does otherwise there and nowhere else: the columns are those of the newest
    schema, those in the partition path are text as the path has it, floats are as they were made doubles."""
    for row in spark:
        for name in [name for name, value in row.items() if tarn and name not in tarn[0] and value is None]:
            del row[name]
        for name, value in row.items():
            if isinstance(value, float):
                row[name] = single(value)
    for row in tarn:
        for name, value in row.items():
            if isinstance(value, float):
                row[name] = single(value)
    for row in spark + tarn:
        for name in partitions:
            row.pop(name, None)


def differences(spark: list[dict], tarn: list[dict]) -> list[str]:
    """In words; none when both have the same rows."""
    found = []
    if spark and tarn and set(spark[0]) != set(tarn[0]):
        found.append(f"columns of one alone: {sorted(set(spark[0]) ^ set(tarn[0]))}")
    theirs, ours = {}, {}
    for side, rows, name in ((theirs, spark, "Spark"), (ours, tarn, "tarn")):
        for row in rows:
            if key_of(row) in side:
                found.append(f"{name} has {key_of(row)} twice")
            side[key_of(row)] = row
    found += [f"only Spark has {key}: {theirs[key]}" for key in theirs.keys() - ours.keys()]
    found += [f"only tarn has {key}: {ours[key]}" for key in ours.keys() - theirs.keys()]
    for key in theirs.keys() & ours.keys():
        row = {name: of_tarn(value, theirs[key].get(name)) for name, value in ours[key].items()}
        unlike = {name: (theirs[key][name], row.get(name)) for name in theirs[key] if theirs[key][name] != row.get(name)}
        if unlike:
            found.append(f"{key} (Spark, tarn): {unlike}")
    return found


def change(operation: str, before, after) -> tuple:
    """A change as both tell it, with columns that both render alike."""
    def image(row):
        row = json.loads(row) if isinstance(row, str) else row
        return None if row is None else tuple(row.get(name) for name in ("id", "name", "country", "city", "count", "ts", "flag"))
    return (operation, image(before), image(after))


def change_differences(spark: list[dict], tarn: list[dict]) -> list[str]:
    theirs = sorted(((row["ts_ms"], *change(row["op"], row["before"], row["after"])) for row in spark), key=repr)
    ours = sorted(((row["commit"], *change(row["op"], row["before"], row["after"])) for row in tarn), key=repr)
    return [f"only Spark: {row}" for row in theirs if row not in ours] + [f"only tarn: {row}" for row in ours if row not in theirs]
