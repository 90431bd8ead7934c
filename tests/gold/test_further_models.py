"""The models behind other models, and what a serious shop asks next, against numbers computed from the source in plain Python."""

import datetime
from collections import Counter, defaultdict
from decimal import Decimal

from comparison import assert_equal, grouped, months_with_subscriptions
from source_facts import month_of, months_on, ratio

DAY = datetime.timedelta(days=1)


def test_sessions(gold, facts):
    expected = {}
    for s in facts.sessions:
        expected[s.tenant, s.id] = (s.month, s.last_day, s.device, len(s.events), max(s.events) + 1, 2 in s.events, 4 in s.events,
                                    Decimal("".join(str(kind + 1) for kind in s.events)))
    assert_equal(gold("sessions"), ["tenant_id", "session_id"],
                 ["month", "last_day", "device", "events", "furthest_step", "has_cart", "has_purchase", "path"], expected)


def test_funnel_by_device(gold, facts):
    expected = {}
    for key, sessions in grouped(facts.sessions, lambda s: (s.tenant, s.month, s.device)).items():
        reached = [sum(1 for s in sessions if max(s.events) >= step) for step in range(5)]
        expected[key] = (*reached, ratio(reached[4], reached[0]))
    assert_equal(gold("funnel_by_device"), ["tenant_id", "month", "device"],
                 ["sessions", "viewed_a_product", "filled_a_cart", "went_to_checkout", "purchased", "conversion_rate"], expected)


def mrr_of_customers(facts):
    """{(tenant, month): {(customer, currency): MRR}}"""
    found = {}
    for tenant, month in months_with_subscriptions(facts):
        amounts = Counter()
        for s in facts.paying(tenant, min(months_on(month, 1) - DAY, facts.today[tenant])):
            amounts[s.customer, s.currency] += s.price
        found[tenant, month] = amounts
    return found


def test_customer_mrr_monthly(gold, facts):
    expected = {(tenant, month, customer, currency): (mrr,) for (tenant, month), amounts in mrr_of_customers(facts).items()
                for (customer, currency), mrr in amounts.items()}
    assert_equal(gold("customer_mrr_monthly"), ["tenant_id", "month", "customer_id", "currency"], ["mrr"], expected)


def movements(facts):
    """{(tenant, month, currency): [opening, new, reactivated, expansion, contraction, churned, closing]}"""
    found = defaultdict(lambda: [Decimal(0)] * 7)
    known = defaultdict(set)
    all_mrr = mrr_of_customers(facts)
    for (tenant, month), now in sorted(all_mrr.items()):
        before = all_mrr.get((tenant, months_on(month, -1)), {})
        for who in set(now) | set(before):
            was, is_ = before.get(who, Decimal(0)), now.get(who, Decimal(0))
            row = found[tenant, month, who[1]]
            row[0] += was
            row[6] += is_
            if not was:
                row[2 if who in known[tenant] else 1] += is_
            elif not is_:
                row[5] += was
            else:
                row[3] += max(is_ - was, 0)
                row[4] += max(was - is_, 0)
        known[tenant] |= set(now)
    return found


def test_mrr_movements(gold, facts):
    expected = {key: tuple(row) for key, row in movements(facts).items()}
    assert any(row[5] for row in expected.values()), "nobody ever left"
    assert_equal(gold("mrr_movements"), ["tenant_id", "month", "currency"],
                 ["opening_mrr", "new_mrr", "reactivated_mrr", "expansion_mrr", "contraction_mrr", "churned_mrr", "closing_mrr"], expected)


def test_net_revenue_retention(gold, facts):
    expected = {}
    all_mrr = mrr_of_customers(facts)
    for (tenant, month), now in all_mrr.items():
        for currency, people in grouped(all_mrr.get((tenant, months_on(month, -1)), {}).items(), lambda item: item[0][1]).items():
            opening = sum(was for _, was in people)
            kept = sum(now[who] for who, _ in people)
            gross = sum(min(was, now[who]) for who, was in people)
            expected[tenant, month, currency] = (opening, kept, ratio(kept, opening), ratio(gross, opening))
    assert_equal(gold("net_revenue_retention"), ["tenant_id", "month", "currency"],
                 ["opening_mrr", "kept_mrr", "net_retention", "gross_retention"], expected)


def test_cohort_revenue(gold, facts):
    first = {}
    for o in facts.orders.values():
        first[o.tenant, o.customer] = min(first.get((o.tenant, o.customer), o.month), o.month)
    sizes = Counter((tenant, month) for (tenant, _), month in first.items())
    spent = defaultdict(list)
    for o in facts.orders.values():
        start = first[o.tenant, o.customer]
        spent[o.tenant, start, (o.month.year - start.year) * 12 + o.month.month - start.month, o.currency].append(o)
    expected, so_far = {}, Counter()
    for key in sorted(spent):
        tenant, start, _, currency = key
        revenue = sum(o.total for o in spent[key])
        so_far[tenant, start, currency] += revenue
        total = so_far[tenant, start, currency]
        expected[key] = (sizes[tenant, start], len({o.customer for o in spent[key]}), revenue, total, ratio(total, sizes[tenant, start]))
    assert_equal(gold("cohort_revenue"), ["tenant_id", "cohort_month", "month_number", "currency"],
                 ["cohort_size", "customers", "revenue", "cumulative_revenue", "per_customer"], expected)


def fifths(people, key):
    """{customer: 1 to 5}: as equal in size as can be, the first ones the larger."""
    order = sorted(people, key=key)
    size, more = divmod(len(order), 5)
    scores, at = {}, 0
    for score in range(1, 6):
        for customer in order[at:at + size + (score <= more)]:
            scores[customer] = score
        at += size + (score <= more)
    return scores


def segment_of(r, f, m):
    if min(r, f, m) >= 4:
        return "champions"
    if r >= 3 and f >= 4:
        return "loyal"
    if r >= 4 and f <= 2:
        return "new"
    if r <= 2:
        return "at risk" if f >= 3 else "lost"
    return "others"


def test_customer_rfm(gold, facts):
    expected = {}
    for (tenant, currency), orders in grouped(facts.orders.values(), lambda o: (o.tenant, o.currency)).items():
        own = grouped(orders, lambda o: o.customer)
        recency = {c: (facts.today[tenant] - max(o.day for o in their)).days for c, their in own.items()}
        spent = {c: sum(o.total for o in their) for c, their in own.items()}
        r = fifths(own, lambda c: (-recency[c], c))
        f = fifths(own, lambda c: (len(own[c]), c))
        m = fifths(own, lambda c: (spent[c], c))
        for c, their in own.items():
            expected[tenant, c, currency] = (recency[c], len(their), spent[c], r[c], f[c], m[c], segment_of(r[c], f[c], m[c]))
    assert_equal(gold("customer_rfm"), ["tenant_id", "customer_id", "currency"],
                 ["recency_days", "frequency", "monetary", "r", "f", "m", "segment"], expected)


def test_time_between_orders(gold, facts):
    gaps = defaultdict(list)
    for (tenant, customer), orders in grouped(facts.orders.values(), lambda o: (o.tenant, o.customer)).items():
        orders.sort(key=lambda o: (o.at, o.id))
        for before, after in zip(orders, orders[1:]):
            gaps[tenant, after.month].append(((after.day - before.day).days, customer))
    expected = {}
    for key, found in gaps.items():
        days = sorted(day for day, _ in found)
        quartiles = [days[-(-len(days) * part // 4) - 1] for part in (1, 2, 3)]
        expected[key] = (len(days), len({customer for _, customer in found}), ratio(sum(days), len(days)), *quartiles)
    assert_equal(gold("time_between_orders"), ["tenant_id", "month"],
                 ["repeat_orders", "customers", "average_days", "first_quartile_days", "median_days", "third_quartile_days"], expected)


def test_stock_cover(gold, facts):
    sold = Counter()
    for line in facts.lines:
        if 1 <= (facts.today[line.order.tenant] - line.order.day).days <= 30:
            sold[line.product] += line.quantity
    expected = {}
    for p in facts.products.values():
        if not p.is_active:
            continue
        cover = p.stock * 30 // sold[p.id] if sold[p.id] else None
        out_on = None if cover is None else facts.today[p.tenant] + cover * DAY
        expected[p.tenant, p.id] = (p.sku, p.stock, sold[p.id], cover, out_on, p.stock == 0)
    assert_equal(gold("stock_cover"), ["tenant_id", "product_id"],
                 ["sku", "stock", "units_sold", "days_of_cover", "out_on", "is_out"], expected)


def test_revenue_forecast(gold, facts):
    revenue = Counter()
    for o in facts.orders.values():
        revenue[o.tenant, o.currency, o.month] += o.total
    expected = {}
    for (tenant, currency), months in grouped(revenue, lambda key: key[:2]).items():
        end = month_of(facts.today[tenant])
        complete = []
        month = months_on(min(month for _, _, month in months), 1)
        while month < end:
            complete.append(revenue[tenant, currency, month])
            month = months_on(month, 1)
        if len(complete) < 3:
            continue
        guesses = [(sum(complete[at - 3:at]) / 3).quantize(Decimal("0.01")) for at in range(3, len(complete) + 1)]
        wrong = [guess - truth for guess, truth in zip(guesses, complete[3:])]
        expected[tenant, currency] = (
            end, guesses[-1], len(wrong), ratio(sum(wrong), len(wrong)), ratio(sum(map(abs, wrong)), len(wrong)),
            ratio(sum(map(abs, wrong)), sum(complete[3:])))
    assert_equal(gold("revenue_forecast"), ["tenant_id", "currency"],
                 ["forecast_month", "forecast", "tested_months", "mean_error", "mean_absolute_error", "error_share"], expected)


def age_from(months):
    return max(age for age in (1, 3, 6, 12) if age <= months)


def lived_months(facts):
    """(tenant, month, subscription, months paid, churned, complete) of each month on whose eve it paid."""
    for tenant, month in months_with_subscriptions(facts):
        end = min(months_on(month, 1) - DAY, facts.today[tenant])
        still = {s.id for s in facts.paying(tenant, end)}
        for s in facts.paying(tenant, month - DAY):
            months = (month.year - s.pays_from.year) * 12 + month.month - s.pays_from.month
            yield tenant, month, s, months, s.id not in still, months_on(month, 1) <= facts.today[tenant]


def test_subscription_months(gold, facts):
    expected = {(tenant, month, s.id): (months, age_from(months), churned, complete)
                for tenant, month, s, months, churned, complete in lived_months(facts)}
    assert_equal(gold("subscription_months"), ["tenant_id", "month", "subscription_id"],
                 ["months_paid", "age_from", "churned", "is_complete"], expected)


def risk_of(known, age):
    """By what is known, (age, churned) each."""
    own = [churned for group, churned in known if group == age]
    share = Decimal(sum(churned for _, churned in known)) / len(known)
    return (sum(own) + 20 * share) / (len(own) + 20), share


def test_subscription_churn_risk(gold, facts):
    known = defaultdict(list)
    for tenant, _, _, months, churned, complete in lived_months(facts):
        if complete:
            known[tenant].append((age_from(months), churned))
    expected = {}
    for tenant, today in facts.today.items():
        for s in facts.paying(tenant, today):
            months = (today.year - s.pays_from.year) * 12 + today.month - s.pays_from.month + 1
            risk = ratio(risk_of(known[tenant], age_from(months))[0], 1) if known[tenant] else None
            expected[tenant, s.id] = (s.customer, s.plan, s.currency, s.price, months, risk)
    assert_equal(gold("subscription_churn_risk"), ["tenant_id", "subscription_id"],
                 ["customer_id", "plan", "currency", "price", "months_paid", "churn_risk"], expected)


def test_churn_risk_backtest(gold, facts):
    lived = grouped(((tenant, month, age_from(months), churned) for tenant, month, _, months, churned, complete in lived_months(facts)
                     if complete), lambda one: one[0])
    expected = {}
    for tenant, own in lived.items():
        for month in {month for _, month, _, _ in own}:
            known = [(age, churned) for _, at, age, churned in own if at < month]
            if not known:
                continue
            now = [(age, churned, *risk_of(known, age)) for _, at, age, churned in own if at == month]
            expected[tenant, month] = (
                len(now), sum(churned for _, churned, _, _ in now), ratio(sum(risk for _, _, risk, _ in now), 1),
                ratio(sum((risk - churned) ** 2 for _, churned, risk, _ in now), len(now)),
                ratio(sum((share - churned) ** 2 for _, churned, _, share in now), len(now)))
    assert_equal(gold("churn_risk_backtest"), ["tenant_id", "month"],
                 ["subscriptions", "churned", "expected_churned", "brier_score", "brier_of_share"], expected)
