"""Facts of the source in Python's own objects, from which the tests compute Gold a second time.

PostgreSQL gives plain rows (the refused ones left out by conditions written by hand, not taken from models/silver);
all grouping, calendars and arithmetic happen in Python. Rows that a rule refuses are not in Silver, so they must be
left out here too: lines without a price, products with negative stock, customers with a malformed address,
subscriptions that end before they start.
"""

import datetime
from collections import namedtuple
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

COUNTED = ("paid", "shipped", "delivered")
KINDS = ["page_view", "product_view", "add_to_cart", "checkout", "purchase"]

Order = namedtuple("Order", "id tenant customer at day month total currency")
Line = namedtuple("Line", "order product quantity revenue")
Product = namedtuple("Product", "id tenant sku name category cost price currency stock is_active")
Paid = namedtuple("Paid", "id tenant customer plan price currency started_on pays_from ends_on")
Session = namedtuple("Session", "tenant id month device events first last last_day")


def ratio(part, whole):
    """A quotient as DECIMAL(18,4), None where there is nothing to divide by."""
    return None if not whole else (Decimal(part) / Decimal(whole)).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def month_of(day):
    return day.replace(day=1)


def months_on(month, count):
    number = month.year * 12 + month.month - 1 + count
    return datetime.date(number // 12, number % 12 + 1, 1)


class Facts:
    def __init__(self, source, as_of):
        self._source = source
        self.zones = {tenant: ZoneInfo(zone) for tenant, zone in source.execute("SELECT id, time_zone FROM tenants")}
        self.today = {tenant: as_of.astimezone(zone).date() for tenant, zone in self.zones.items()}

    def local_day(self, tenant, moment):
        return moment.astimezone(self.zones[tenant]).date() if moment else None

    @cached_property
    def orders(self):
        """Paid, shipped and delivered orders by id."""
        rows = self._source.execute(
            "SELECT id, tenant_id, customer_id, placed_at, total, currency::text FROM orders WHERE status = ANY(%s)",
            [list(COUNTED)])
        found = {}
        for number, tenant, customer, at, total, currency in rows:
            day = self.local_day(tenant, at)
            found[number] = Order(number, tenant, customer, at, day, month_of(day), total, currency)
        return found

    @cached_property
    def lines(self):
        rows = self._source.execute(
            "SELECT order_id, product_id, quantity, unit_price, discount FROM order_items WHERE unit_price IS NOT NULL")
        return [Line(self.orders[order], product, quantity, quantity * price - discount)
                for order, product, quantity, price, discount in rows if order in self.orders]

    @cached_property
    def products(self):
        rows = self._source.execute(
            "SELECT id, tenant_id, sku, name, category, cost, price, currency::text, stock, is_active FROM products WHERE NOT stock < 0")
        return {row[0]: Product(*row) for row in rows}

    @cached_property
    def customers(self):
        """(tenant, created_at, opted in) by id; an address is sound when it has one @, no blank and a dotted domain."""
        rows = self._source.execute("SELECT id, tenant_id, created_at, marketing_opt_in, email FROM customers")

        def sound(email):
            local, _, domain = email.partition("@")
            return bool(local) and "@" not in domain and " " not in email and len(domain.rpartition(".")[0]) > 0

        return {row: (tenant, created, opted) for row, tenant, created, opted, email in rows if sound(email)}

    @cached_property
    def subscriptions(self):
        rows = self._source.execute(
            "SELECT id, tenant_id, customer_id, plan, price, currency::text, started_at, trial_ends_at, ended_at FROM subscriptions")
        return [
            Paid(row, tenant, customer, plan, price, currency, self.local_day(tenant, started),
                 self.local_day(tenant, trial or started), self.local_day(tenant, ended))
            for row, tenant, customer, plan, price, currency, started, trial, ended in rows if not (ended and ended < started)
        ]

    def paying(self, tenant, day):
        return [s for s in self.subscriptions if s.tenant == tenant and s.pays_from <= day and not (s.ends_on and s.ends_on <= day)]

    @cached_property
    def sessions(self):
        """Events of each visit in order: (moment, kind)."""
        visits = {}
        for tenant, session, kind, device, at, event in self._source.execute(
                "SELECT tenant_id, session_id, kind, device, occurred_at, id FROM events"):
            visits.setdefault((tenant, session), []).append((at, KINDS.index(kind), event, device))
        found = []
        for (tenant, session), events in visits.items():
            events.sort()
            first, last = events[0][0], events[-1][0]
            found.append(Session(tenant, str(session), month_of(self.local_day(tenant, first)), min(event[3] for event in events),
                                 [event[1] for event in events], first, last, self.local_day(tenant, last)))
        return found
