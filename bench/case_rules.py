"""What the shop's rules cost: the same stream into Silver with them and without, in turn."""

import shutil

from .measure import Bench, median, result
from .shop import ROOT, SHOP_TABLES, seed_shop

# Five rows each of the three tables with most traffic; a transaction of fifteen changes.
CHANGES = """DO $$ DECLARE orders int[]; items int[]; customers int[]; BEGIN
  SELECT array_agg(id) INTO orders FROM (SELECT id FROM orders ORDER BY id LIMIT 20000) s;
  SELECT array_agg(id) INTO items FROM (SELECT id FROM order_items ORDER BY id LIMIT 20000) s;
  SELECT array_agg(id) INTO customers FROM (SELECT id FROM customers ORDER BY id LIMIT 20000) s;
  FOR t IN 1..{transactions} LOOP
    UPDATE orders SET updated_at = updated_at + interval '1 second' WHERE id = ANY(orders[(t * 5) % array_length(orders, 1):(t * 5) % array_length(orders, 1) + 4]);
    UPDATE order_items SET quantity = quantity WHERE id = ANY(items[(t * 5) % array_length(items, 1):(t * 5) % array_length(items, 1) + 4]);
    UPDATE customers SET marketing_opt_in = NOT marketing_opt_in
      WHERE id = ANY(customers[(t * 5) % array_length(customers, 1):(t * 5) % array_length(customers, 1) + 4]);
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
