"""The shop's questions, one after the other, as operator and as a tenant's analyst."""

import re

from .measure import Bench, geometric_mean, result
from .shop import ANALYST, SHOP_TABLES, ServedShop, serve_shop
from .shop_questions import DEMONSTRATIONS, OPERATORS_ONLY, model_questions
from .turns import YARDSTICK, BareParquet, table_rows, take_turns


def _bare_shop(bench: Bench, served: ServedShop, principal: str) -> BareParquet:
    """Plain Parquet with the rows that the principal sees and no others."""
    bare = BareParquet(bench.folder / f"bare_{principal}")
    for table in SHOP_TABLES:
        bare.add(table, table_rows(served.client, f"silver.{table}", principal), "silver")
    for model in model_questions(served.models):
        bare.add(model, table_rows(served.client, f"gold.{model}", principal), "gold")
    bare.connection.execute("SET search_path = 'silver,gold'")
    return bare


def _questions(served: ServedShop, principal: str) -> dict[str, str]:
    newest = served.client.query("SELECT max(_month) AS month, max(id) - 20 AS order FROM orders").rows[0]
    questions = model_questions(served.models)
    shown = DEMONSTRATIONS | (OPERATORS_ONLY if principal == "operator" else {})
    return questions | {f"demo.{name}": sql.format(**newest) for name, sql in shown.items()}


def shop(bench: Bench):
    served = serve_shop(bench)
    runs = 1 if bench.smoke else 7
    for principal, called in (("operator", "operator"), (ANALYST, "tenant")):
        bare = _bare_shop(bench, served, principal)
        if principal == "operator":
            bare.add("orders", table_rows(served.client, "bronze.orders"), "bronze")
        turns = {}
        for name, sql in _questions(served, principal).items():
            # One moment for both, so that answers can be compared.
            sql = re.sub(r"\bas_of\(\)", "TIMESTAMPTZ '2026-11-20 12:00:00+00'", sql)
            turns[name] = take_turns(served.client, bare, sql, runs, principal)
            yield result(f"query.shop.{called}.{name}_ms", turns[name].ours_ms, "ms", YARDSTICK, turns[name].ratio)
        yield result(f"query.shop.{called}.geomean", geometric_mean(t.ours_ms for t in turns.values()), "ms", YARDSTICK,
                     geometric_mean(t.ratio for t in turns.values()))
