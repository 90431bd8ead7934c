"""Every Gold model against numbers computed from the source's rows in plain Python (source_facts.py)."""

import datetime
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from comparison import assert_equal, grouped, months_with_subscriptions, plain, read
from source_facts import month_of, months_on, ratio

MODELS = Path(__file__).resolve().parents[2] / "models" / "gold"
NAMES = sorted(path.stem for path in MODELS.glob("*.sql"))


@pytest.mark.parametrize("name", NAMES)
def test_key_identifies_a_row_and_is_never_null(gold, name):
    model = yaml.safe_load((MODELS / f"{name}.yml").read_text())
    rows = gold(name)
    keys = [tuple(str(row[column]) for column in model["key"]) for row in rows]
    assert rows
    assert len(set(keys)) == len(keys)
    assert all(row[column] is not None for row in rows for column in model["key"])
    assert {column["name"] for column in model["columns"]} == {column for column in rows[0] if not column.startswith("_")}


def test_what_the_models_promise_holds(lake, uses_tarn):
    if not uses_tarn:
        pytest.skip("checks are run by a tarn")
    checks = [check for check in lake.checks() if check["schema"] == "gold"]
    assert {check["table"] for check in checks} == set(NAMES)
    assert [(check["table"], check["check"], check["wrong_rows"]) for check in checks if check["wrong_rows"]] == []


def test_unit_tests_of_the_models_hold(lake, uses_tarn):
    if not uses_tarn:
        pytest.skip("unit tests are run by a tarn")
    tests = lake.unit_tests()
    assert tests
    assert [test for test in tests if not test["holds"]] == []


def test_revenue_daily(gold, facts):
    days = grouped(facts.orders.values(), lambda o: (o.tenant, o.day, o.currency))
    expected = {key: (len(orders), len({o.customer for o in orders}), sum(o.total for o in orders)) for key, orders in days.items()}
    assert_equal(gold("revenue_daily"), ["tenant_id", "day", "currency"], ["orders", "customers", "revenue"], expected)


def test_average_order_value_monthly(gold, facts):
    totals = grouped(facts.orders.values(), lambda o: (o.tenant, o.month, o.currency))
    mean = {key: sum(o.total for o in orders) / len(orders) for key, orders in totals.items()}
    expected = {}
    for (tenant, month, currency), orders in totals.items():
        before = mean.get((tenant, months_on(month, -1), currency))
        now = mean[tenant, month, currency]
        expected[tenant, month, currency] = (len(orders), ratio(now, 1), None if before is None else ratio(now - before, 1))
    assert_equal(gold("average_order_value_monthly"), ["tenant_id", "month", "currency"],
                 ["orders", "average_order_value", "change"], expected)


@pytest.mark.parametrize("name,column,length", [("revenue_growth_monthly", "month", 1), ("revenue_growth_quarterly", "quarter", 3)])
def test_revenue_growth(gold, facts, name, column, length):
    revenue = Counter()
    for o in facts.orders.values():
        start = months_on(o.month, -((o.month.month - 1) % length))
        revenue[o.tenant, start, o.currency] += o.total
    expected = {}
    for (tenant, start, currency), amount in revenue.items():
        before = revenue.get((tenant, months_on(start, -length), currency))
        growth = None if before is None else ratio(amount, before) - 1
        expected[tenant, start, currency] = (amount, before, growth, facts.today[tenant] >= months_on(start, length))
    assert_equal(gold(name), ["tenant_id", column, "currency"], ["revenue", "previous_revenue", "growth", "is_complete"], expected)


def category_of(facts, line):
    product = facts.products.get(line.product)
    return product.category if product else "(unknown)"


def test_category_performance(gold, facts):
    groups = grouped(facts.lines, lambda i: (i.order.tenant, category_of(facts, i), i.order.currency))
    all_revenue = Counter()
    for (tenant, _, currency), lines in groups.items():
        all_revenue[tenant, currency] += sum(i.revenue for i in lines)
    expected = {}
    for (tenant, category, currency), lines in groups.items():
        revenue = sum(i.revenue for i in lines)
        expected[tenant, category, currency] = (
            len({i.order.id for i in lines}), sum(i.quantity for i in lines), revenue, ratio(revenue, all_revenue[tenant, currency]))
    assert_equal(gold("category_performance"), ["tenant_id", "category", "currency"], ["orders", "units", "revenue", "share"], expected)


def test_category_trends(gold, facts):
    groups = grouped(facts.lines, lambda i: (i.order.tenant, i.order.month, category_of(facts, i), i.order.currency))
    revenue = {key: sum(i.revenue for i in lines) for key, lines in groups.items()}
    expected = {}
    for (tenant, month, category, currency), lines in groups.items():
        now, before = revenue[tenant, month, category, currency], revenue.get((tenant, months_on(month, -1), category, currency))
        growth = None if not before else ratio(now, before) - 1
        expected[tenant, month, category, currency] = (sum(i.quantity for i in lines), now, before, growth)
    assert_equal(gold("category_trends"), ["tenant_id", "month", "category", "currency"],
                 ["units", "revenue", "previous_revenue", "growth"], expected)


def test_customer_acquisition(gold, facts):
    first = {}
    for o in facts.orders.values():
        first[o.customer] = min(first.get(o.customer, o.at), o.at)
    groups = grouped(facts.customers.items(), lambda c: (c[1][0], month_of(facts.local_day(c[1][0], c[1][1]))))
    expected, so_far = {}, Counter()
    for (tenant, month), people in sorted(groups.items()):
        so_far[tenant] += len(people)
        converted = sum(1 for row, (_, created, _) in people if row in first and first[row] - created < datetime.timedelta(days=30))
        expected[tenant, month] = (len(people), sum(1 for _, person in people if person[2]), converted, so_far[tenant])
    assert_equal(gold("customer_acquisition"), ["tenant_id", "month"],
                 ["new_customers", "opted_in", "converted", "total_customers"], expected)


def test_customer_lifetime_value(gold, facts):
    groups = grouped(facts.orders.values(), lambda o: (o.tenant, o.customer, o.currency))
    expected = {}
    for key, orders in groups.items():
        value = sum(o.total for o in orders)
        expected[key] = (len(orders), value, ratio(value, len(orders)), min(o.at for o in orders), max(o.at for o in orders))
    assert_equal(gold("customer_lifetime_value"), ["tenant_id", "customer_id", "currency"],
                 ["orders", "lifetime_value", "average_order_value", "first_order_at", "last_order_at"], expected)


def buyers_by_month(facts):
    buyers = defaultdict(set)
    for o in facts.orders.values():
        buyers[o.tenant, o.month].add(o.customer)
    return buyers


def test_customer_retention(gold, facts):
    buyers = buyers_by_month(facts)
    expected = {}
    for (tenant, month), people in buyers.items():
        before = buyers.get((tenant, months_on(month, -1)), set())
        back = len(people & before)
        expected[tenant, month] = (len(people), len(before) or None, back, ratio(back, len(before)))
    assert_equal(gold("customer_retention"), ["tenant_id", "month"],
                 ["active_customers", "previous_customers", "retained_customers", "retention_rate"], expected)


def test_customer_churn(gold, facts):
    last = {}
    for o in facts.orders.values():
        last[o.tenant, o.customer] = max(last.get((o.tenant, o.customer), o.day), o.day)
    states, everybody = Counter(), Counter()
    for (tenant, _), day in last.items():
        age = (facts.today[tenant] - day).days
        states[tenant, "active" if age <= 30 else "lapsing" if age <= 90 else "churned"] += 1
        everybody[tenant] += 1
    expected = {key: (count, ratio(count, everybody[key[0]])) for key, count in states.items()}
    assert_equal(gold("customer_churn"), ["tenant_id", "state"], ["customers", "share"], expected)


def test_customer_cohorts(gold, facts):
    cohort, buyers = {}, buyers_by_month(facts)
    for (tenant, month), people in sorted(buyers.items()):
        for customer in people:
            cohort.setdefault((tenant, customer), month)
    sizes = Counter((tenant, month) for (tenant, _), month in cohort.items())
    active = Counter()
    for (tenant, month), people in buyers.items():
        for customer in people:
            start = cohort[tenant, customer]
            active[tenant, start, (month.year - start.year) * 12 + month.month - start.month] += 1
    expected = {key: (sizes[key[:2]], count, ratio(count, sizes[key[:2]])) for key, count in active.items()}
    assert_equal(gold("customer_cohorts"), ["tenant_id", "cohort_month", "month_number"],
                 ["cohort_size", "active_customers", "retention_rate"], expected)


def test_best_sellers(gold, facts):
    sales = grouped(facts.lines, lambda i: (i.order.tenant, i.order.currency, i.product))
    shelves = defaultdict(list)
    for (tenant, currency, product), lines in sales.items():
        shelves[tenant, currency].append((-sum(i.revenue for i in lines), product, lines))
    expected = {}
    for (tenant, currency), shelf in shelves.items():
        for place, (revenue, product, lines) in enumerate(sorted(shelf, key=lambda s: s[:2])[:50], 1):
            known = facts.products.get(product)
            expected[tenant, currency, product] = (
                place, known and known.sku, known and known.name, len({i.order.id for i in lines}), sum(i.quantity for i in lines), -revenue)
    assert_equal(gold("best_sellers"), ["tenant_id", "currency", "product_id"],
                 ["place", "sku", "name", "orders", "units", "revenue"], expected)


def test_inventory_turnover(gold, facts):
    sold = Counter()
    for i in facts.lines:
        age = (facts.today[i.order.tenant] - i.order.day).days
        if 1 <= age <= 90:
            sold[i.product] += i.quantity
    expected = {}
    for key, products in grouped(facts.products.values(), lambda p: (p.tenant, p.category, p.currency)).items():
        value = sum(p.stock * p.cost for p in products)
        cost = sum(sold[p.id] * p.cost for p in products)
        expected[key] = (len(products), sum(p.stock for p in products), value, sum(sold[p.id] for p in products), cost,
                         ratio(cost * 365, value * 90), ratio(value * 90, cost))
    assert_equal(gold("inventory_turnover"), ["tenant_id", "category", "currency"],
                 ["products", "stock_units", "stock_value", "units_sold", "cost_of_sales", "turnover", "days_of_stock"], expected)


def test_product_profitability(gold, facts):
    expected = {}
    for product, lines in grouped((i for i in facts.lines if i.product in facts.products), lambda i: i.product).items():
        p = facts.products[product]
        own = [i for i in lines if i.order.currency == p.currency]
        units, revenue = sum(i.quantity for i in own), sum(i.revenue for i in own)
        profit = revenue - units * p.cost
        expected[p.tenant, product] = (p.sku, p.currency, units, sum(i.quantity for i in lines) - units, revenue,
                                       units * p.cost, profit, ratio(profit, revenue))
    assert_equal(gold("product_profitability"), ["tenant_id", "product_id"],
                 ["sku", "currency", "units", "units_in_other_currencies", "revenue", "cost", "profit", "margin"], expected)


def test_conversion_funnel(gold, facts):
    expected = {}
    for (tenant, month), sessions in grouped(facts.sessions, lambda s: (s.tenant, s.month)).items():
        before = len(sessions)
        for step in range(5):
            reached = sum(1 for s in sessions if max(s.events) >= step)
            expected[tenant, month, step + 1] = (reached, ratio(reached, before), ratio(reached, len(sessions)))
            before = reached
    assert_equal(gold("conversion_funnel"), ["tenant_id", "month", "step_number"],
                 ["sessions", "share_of_previous", "share_of_all"], expected)


def test_session_engagement(gold, facts):
    expected = {}
    for key, sessions in grouped(facts.sessions, lambda s: (s.tenant, s.month, s.device)).items():
        count, events = len(sessions), sum(len(s.events) for s in sessions)
        seconds = sum((s.last - s.first) // datetime.timedelta(microseconds=1) for s in sessions)
        expected[key] = (count, events, ratio(events, count), Decimal(seconds) / 1_000_000 / count,
                         ratio(sum(1 for s in sessions if len(s.events) == 1), count))
    rows = gold("session_engagement")
    for row in rows:  # milliseconds are cut off at both ends of a session: compare to a thousandth
        row["average_seconds"] = round(Decimal(str(row["average_seconds"])) - expected_seconds(row, expected), 2) + 0
    assert_equal(rows, ["tenant_id", "month", "device"],
                 ["sessions", "events", "events_per_session", "average_seconds", "bounce_rate"],
                 {key: (*values[:3], Decimal(0), values[4]) for key, values in expected.items()})


def expected_seconds(row, expected):
    wanted = tuple(plain(read(row[name])) for name in ("tenant_id", "month", "device"))
    return next((values[3] for key, values in expected.items() if tuple(plain(part) for part in key) == wanted), Decimal(-1))


def test_cart_abandonment(gold, facts):
    expected = {}
    with_cart = [s for s in facts.sessions if 2 in s.events]
    for key, carts in grouped(with_cart, lambda s: (s.tenant, s.month)).items():
        bought = sum(1 for s in carts if 4 in s.events)
        waiting = sum(1 for s in carts if 4 not in s.events and s.last_day >= facts.today[s.tenant])
        left = len(carts) - bought - waiting
        expected[key] = (len(carts), bought, left, waiting, ratio(left, bought + left))
    assert_equal(gold("cart_abandonment"), ["tenant_id", "month"],
                 ["carts", "purchased", "abandoned", "still_open", "abandonment_rate"], expected)


def test_user_journeys(gold, facts):
    names = ["page_view", "product_view", "add_to_cart", "checkout", "purchase"]
    paths = defaultdict(Counter)
    for s in facts.sessions:
        steps = [kind for i, kind in enumerate(s.events) if i == 0 or s.events[i - 1] != kind]
        paths[s.tenant][" > ".join(names[kind] for kind in steps)] += 1
    expected = {}
    for tenant, counts in paths.items():
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:50]
        for place, (path, sessions) in enumerate(ranked, 1):
            expected[tenant, path] = (place, sessions, ratio(sessions, sum(counts.values())), "purchase" in path)
    assert_equal(gold("user_journeys"), ["tenant_id", "path"], ["place", "sessions", "share", "has_purchase"], expected)


def test_mrr_monthly(gold, facts):
    expected = {}
    for tenant, month in months_with_subscriptions(facts):
        day = min(months_on(month, 1) - datetime.timedelta(days=1), facts.today[tenant])
        for currency, paying in grouped(facts.paying(tenant, day), lambda s: s.currency).items():
            mrr = sum(s.price for s in paying)
            expected[tenant, month, currency] = (len(paying), mrr, mrr * 12)
    assert_equal(gold("mrr_monthly"), ["tenant_id", "month", "currency"], ["paying_subscriptions", "mrr", "arr"], expected)


def test_subscription_churn(gold, facts):
    expected = {}
    for tenant, month in months_with_subscriptions(facts):
        at_start = facts.paying(tenant, month - datetime.timedelta(days=1))
        end = min(months_on(month, 1) - datetime.timedelta(days=1), facts.today[tenant])
        left = {s.id for s in at_start} - {s.id for s in facts.paying(tenant, end)}
        came = sum(1 for s in facts.subscriptions if s.tenant == tenant and month <= s.pays_from <= end
                   and not (s.ends_on and s.ends_on <= s.pays_from))
        expected[tenant, month] = (len(at_start), len(left), came, ratio(len(left), len(at_start)))
    assert_equal(gold("subscription_churn"), ["tenant_id", "month"],
                 ["paying_at_start", "churned", "started_paying", "churn_rate"], expected)


def test_plan_distribution(gold, facts):
    running = [s for s in facts.subscriptions
               if s.started_on <= facts.today[s.tenant] and not (s.ends_on and s.ends_on <= facts.today[s.tenant])]
    paying = {s.id for tenant, day in facts.today.items() for s in facts.paying(tenant, day)}
    by_tenant = Counter(s.tenant for s in running if s.id in paying)
    expected = {}
    for key, subscriptions in grouped(running, lambda s: (s.tenant, s.plan, s.currency)).items():
        bills = [s.price for s in subscriptions if s.id in paying]
        expected[key] = (len(bills), len(subscriptions) - len(bills), sum(bills), ratio(len(bills), by_tenant[key[0]]))
    assert_equal(gold("plan_distribution"), ["tenant_id", "plan", "currency"], ["paying", "on_trial", "mrr", "share"], expected)
