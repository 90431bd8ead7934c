"""Rows of a model against what was computed in another way."""

import datetime
from collections import defaultdict
from decimal import Decimal

from source_facts import month_of, months_on


def plain(value):
    """A value as both sides can be compared by: tarn's JSON has decimals, dates and times as text."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (int, Decimal, float)):
        return Decimal(str(value))
    return value


def read(text):
    """Text of tarn's JSON back to what it is."""
    if not isinstance(text, str):
        return text
    for parse in (Decimal, datetime.date.fromisoformat, lambda t: datetime.datetime.fromisoformat(t.replace(" UTC", "+00:00"))):
        try:
            value = parse(text)
        except (ValueError, ArithmeticError):
            continue
        if not (isinstance(value, Decimal) and not value.is_finite()):
            if isinstance(value, datetime.datetime) and value.tzinfo is None:
                value = value.replace(tzinfo=datetime.timezone.utc)
            return value
    return text


def same(left, right):
    """Equal; the last digit of a ratio may differ, for the engine divides in binary."""
    left, right = plain(read(left)), plain(read(right))
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return left == right or (-min(left.as_tuple().exponent, right.as_tuple().exponent) > 2 and abs(left - right) <= Decimal("0.0001"))
    return left == right


def assert_equal(rows, key, columns, expected):
    """`rows` of a model hold exactly `expected`: {key values: column values}."""
    found = {tuple(plain(read(row[name])) for name in key): row for row in rows}
    wanted = {tuple(plain(read(part)) for part in (k if isinstance(k, tuple) else (k,))): values for k, values in expected.items()}
    assert wanted, "the source gave nothing to compare"
    assert set(found) == set(wanted)
    wrong = [(k, name, row[name], value) for k, row in found.items()
             for name, value in zip(columns, wanted[k], strict=True) if not same(row[name], value)]
    assert wrong == [], f"{len(wrong)} cells differ"


def grouped(items, key):
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def months_with_subscriptions(facts):
    for tenant in facts.zones:
        own = [s.pays_from for s in facts.subscriptions if s.tenant == tenant]
        month = month_of(min(own)) if own else facts.today[tenant]
        while month <= facts.today[tenant]:
            yield tenant, month
            month = months_on(month, 1)
