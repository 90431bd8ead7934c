"""The benchmarks, by what the names of their figures begin with. Those that load the machine's disk most come first."""

from . import case_concurrent, case_follow, case_freshness, case_full_load, case_gold, case_hudi_read, case_query, case_rules, case_sustained

CASES = {
    "full_load.lineitem": case_full_load.lineitem,
    "full_load.tpch": case_full_load.tpch,
    "full_load.shop": case_full_load.shop,
    "catch_up": case_follow.catch_up,
    "idle": case_follow.idle,
    "rules": case_rules.rules,
    "sustained": case_sustained.sustained,
    "freshness": case_freshness.freshness,
    "hudi.read": case_hudi_read.hudi_read,
    "gold": case_gold.gold,
    "query.shop": case_query.shop,
    "query.concurrent": case_concurrent.concurrent,
    "verify": case_gold.verify,
}
