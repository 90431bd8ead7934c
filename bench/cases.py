"""The benchmarks, by what the names of their figures begin with. Those that load the machine's disk most come first."""

from . import case_follow, case_freshness, case_full_load, case_gold

CASES = {
    "full_load.lineitem": case_full_load.lineitem,
    "full_load.tpch": case_full_load.tpch,
    "full_load.shop": case_full_load.shop,
    "catch_up": case_follow.catch_up,
    "idle": case_follow.idle,
    "freshness": case_freshness.freshness,
    "gold": case_gold.gold,
    "verify": case_gold.verify,
}
