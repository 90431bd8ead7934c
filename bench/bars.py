"""The bars of the figures. A figure without one is only reported."""

import operator
import re

# Pattern of the name, what is held against the bar, and the bar. "#" stands for any one part of a name.
BARS = [
    ("full_load.lineitem.bronze.rows_per_cpu_s", "value", ">=", 750_000),
    ("full_load.lineitem.bronze.rows_per_cpu_s", "ratio", ">=", 1.1),
    ("full_load.lineitem.silver.rows_per_cpu_s", "value", ">=", 400_000),
    ("full_load.tpch.wall", "ratio", "<=", 1.3),
    ("full_load.peak_rss_mb", "value", "<=", 300),
    ("catch_up.#.bronze", "ratio", ">=", 0.9),
    ("catch_up.#.silver", "ratio", ">=", 0.8),
    ("freshness.5000.queryable.p50_ms", "value", "<=", 100),
    ("freshness.5000.queryable.p99_ms", "value", "<=", 1_000),
    ("freshness.5000.bronze.p99_ms", "value", "<=", 5_000),
    ("freshness.5000.hudi.p99_ms", "value", "<=", 30_000),
    ("idle.cpu_percent", "value", "<", 1),
    ("idle.rss_mb", "value", "<", 60),
    ("start.to_streaming_ms", "value", "<", 1_000),
    ("hudi.upsert.vs_spark", "ratio", ">=", 20),
    ("hudi.small_commits.vs_spark", "ratio", ">=", 200),
    ("hudi.read.0pct", "ratio", "<=", 1.05),
    ("hudi.read.1pct", "ratio", "<=", 1.15),
    ("hudi.read.5pct", "ratio", "<=", 1.3),
    ("hudi.read.20pct", "ratio", "<=", 1.6),
    ("hudi.compaction.peak_rss_mb", "value", "<=", 300),
    ("rules.cost", "ratio", ">=", 0.85),
    ("gold.full.medium_s", "value", "<=", 10),
    ("gold.full.large_s", "value", "<=", 60),
    ("gold.incremental.1000_s", "value", "<=", 2),
    # The models' questions: the joins. The demonstrations' (query.shop.#.demo.#_ms) are only reported.
    ("query.shop.#.#_ms", "value", "<=", 1_000),
    ("query.shop.#.#_ms", "ratio", "<=", 1.3),
    ("query.concurrent.#.open_p99_ms", "ratio", "<=", 5),
    ("query.concurrent.#.peak_rss_mb", "value", "<=", 2_048),
    ("query.concurrent.#.closed_per_s", "ratio", ">=", 0.9),
]

COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\#", "[^.]+"), name) is not None


def bars_of(result: dict) -> list[tuple[str, bool]]:
    """Every bar of a figure, as text, and whether it is met."""
    found = []
    for pattern, what, comparison, bar in BARS:
        if result[what] is None or not _matches(pattern, result["name"]):
            continue
        text = f"{'ratio ' if what == 'ratio' else ''}{comparison} {bar:,}"
        found.append((text, COMPARE[comparison](result[what], bar)))
    return found
