"""What the shop's rules cost: the same stream into Silver with them and without, in turn."""

import shutil

from .measure import Bench, median, result
from .shop import ROOT, SHOP_TABLES, seed_shop

# Five rows each of the three tables with most traffic; a transaction of fifteen changes.
CHANGES = """DO $$ DECLARE some_orders bigint[]; some_items bigint[]; some_customers bigint[]; low int; BEGIN
  some_orders := ARRAY(SELECT id FROM orders ORDER BY id LIMIT 20000);
  some_items := ARRAY(SELECT id FROM order_items ORDER BY id LIMIT 20000);
  some_customers := ARRAY(SELECT id FROM customers ORDER BY id LIMIT 20000);
  FOR t IN 1..{transactions} LOOP
    low := (t * 5) % (array_length(some_orders, 1) - 5) + 1;
    UPDATE orders SET updated_at = updated_at + interval '1 second' WHERE id = ANY(some_orders[low:low + 4]);
    low := (t * 5) % (array_length(some_items, 1) - 5) + 1;
    UPDATE order_items SET quantity = quantity WHERE id = ANY(some_items[low:low + 4]);
    low := (t * 5) % (array_length(some_customers, 1) - 5) + 1;
    UPDATE customers SET marketing_opt_in = NOT marketing_opt_in WHERE id = ANY(some_customers[low:low + 4]);
    COMMIT;
  END LOOP; END $$"""


def rules(bench: Bench):
    seed_shop(bench)
    models = bench.folder / "rules"
    shutil.copytree(ROOT / "models" / "silver", models / "silver")
    (models / "gold").mkdir()
    tables = [f"public.{table}" for table in SHOP_TABLES]
    tenants = '[tenants]\ncolumn = "tenant_id"\n'
    lakes = {"without": bench.lake("shop", tables, tenants), "with": bench.lake("shop", tables, f'{tenants}[gold]\nmodels = "{models}"\n')}
    for lake in lakes.values():
        lake.run_until(bench.lsn("shop"))
    transactions = 200 if bench.smoke else 30_000
    used = {name: [] for name in lakes}
    for turn in range(bench.runs):
        bench.sql("shop", CHANGES.format(transactions=transactions))
        end = bench.lsn("shop")
        for name in sorted(lakes, reverse=turn % 2 == 0):
            used[name].append(lakes[name].run_until(end).cpu_s)
    for lake in lakes.values():
        lake.remove()
    changes = 15 * transactions
    yield result("rules.cost", changes / median(used["with"]), "changes/CPU-s", "the same stream without rules",
                 median(used["without"]) / median(used["with"]))
