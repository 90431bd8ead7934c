"""What the shop is asked: the questions of its Gold models, on Silver, and the demonstrations' queries."""

from pathlib import Path

from demo.story.demonstrations import LAYERS

# For everyone, by demonstration; {month}: the newest one.
DEMONSTRATIONS = {
    "revenue_by_month": """SELECT _month AS month, currency, count(*) AS orders, CAST(sum(total) AS DECIMAL(18,2)) AS revenue
        FROM orders WHERE status NOT IN ('cancelled', 'refunded') GROUP BY ALL ORDER BY ALL""",
    "newest_month": "SELECT tenant_id, count(*) AS orders FROM orders WHERE _month = '{month}' GROUP BY ALL ORDER BY ALL",
    "orders_by_tenant": "SELECT tenant_id, count(*) AS orders FROM orders GROUP BY ALL ORDER BY ALL",
    "newest_orders": "SELECT id FROM orders WHERE id > {order}",
    "largest_order": "SELECT id, tenant_id, status, total, currency FROM orders ORDER BY total DESC, id LIMIT 1",
    "all_orders": "SELECT currency, count(*) AS orders, CAST(sum(total) AS DECIMAL(18,2)) AS total FROM orders GROUP BY ALL ORDER BY ALL",
    "cost_silver": LAYERS["silver"],
    "cost_gold": LAYERS["gold"],
}
# A tenant's analyst has no Bronze.
OPERATORS_ONLY = {"cost_bronze": LAYERS["bronze"]}


def model_questions(models: Path) -> dict[str, str]:
    """The models' own SQL, which reads Silver (and other models)."""
    return {file.stem: file.read_text() for file in sorted((models / "gold").glob("*.sql"))}
