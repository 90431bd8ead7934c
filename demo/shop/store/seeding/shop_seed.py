"""Puts a whole shop together: same scale, seed and last day, same rows."""

import random
import unicodedata
from dataclasses import dataclass

from .billing import Billing
from .flaws import Flaws
from .goods import make_products, product_line
from .people import customer_line, make_customers, malformed
from .rhythm import DAY, moment_text
from .scales import MERCHANTS
from .trade import Ids, TenantTrade

SECOND = 1_000_000

# In the order in which COPY's lines are put together.
COLUMNS = {
    "tenants": ["id", "name", "slug", "country", "time_zone", "plan", "is_active", "created_at"],
    "customers": ["id", "tenant_id", "external_id", "email", "full_name", "phone", "birth_date", "country",
                  "marketing_opt_in", "created_at", "notes"],
    "products": ["id", "tenant_id", "sku", "name", "category", "cost", "price", "currency", "stock", "attributes", "tags",
                 "description", "is_active", "created_at", "updated_at"],
    "orders": ["id", "tenant_id", "customer_id", "external_id", "status", "placed_at", "updated_at", "total", "currency",
               "shipping_address"],
    "order_items": ["id", "tenant_id", "order_id", "product_id", "quantity", "unit_price", "discount"],
    "events": ["id", "tenant_id", "session_id", "customer_id", "kind", "page", "device", "properties", "occurred_at"],
    "subscriptions": ["id", "tenant_id", "customer_id", "plan", "price", "currency", "status", "started_at",
                      "trial_ends_at", "cancelled_at", "ended_at"],
    "invoices": ["id", "tenant_id", "subscription_id", "number", "state", "amount", "currency", "issued_on", "due_on",
                 "paid_at"],
}


@dataclass(frozen=True)
class Window:
    first_day: int  # since 1970-01-01, UTC
    last_day: int
    until: int  # microseconds; everything is before it


class ShopSeed:
    """Writes a shop into a sink. `until_day`: the first day that is not seeded any more."""

    def __init__(self, scale, seed, until_day, sink):
        self.scale, self.seed, self.sink = scale, seed, sink
        self.window = Window(until_day - scale.days, until_day - 1, until_day * DAY * SECOND)
        self.merchants = MERCHANTS[: scale.tenants]
        weights = [1 / (1 + i) ** 0.8 for i in range(scale.tenants)]
        self.shares = [weight / sum(weights) for weight in weights]
        self.flaws = Flaws(self._stream("flaws"))

    def run(self):
        self._write_tenants()
        customers = self._write_customers()
        products = self._make_products()
        self._trade(customers, products)
        self._write_products(products)
        billing = Billing(self.flaws, self.sink)
        for i, merchant in enumerate(self.merchants):
            billing.run(self._rng("billing", i), merchant, str(i + 1), customers[i],
                        round(self.scale.subscriptions * self.shares[i]), self.window.first_day, self.window.until)
        self.sink.flush_all()

    def _stream(self, *names):
        return "/".join(map(str, (self.seed, self.scale.name, *names)))

    def _rng(self, *names):
        return random.Random(self._stream(*names))

    def _write_tenants(self):
        for i, merchant in enumerate(self.merchants):
            created = (self.window.first_day - 400 + 11 * i) * DAY * SECOND
            self.sink.add("tenants", "\t".join((
                str(i + 1), merchant.name, merchant.slug, merchant.country, merchant.time_zone, merchant.plan, "t",
                moment_text(created))))

    def _write_customers(self):
        """By tenant, each by creation; ids rise with creation over all tenants."""
        by_tenant = []
        for i, merchant in enumerate(self.merchants):
            people = make_customers(self._rng("people", i), merchant, i + 1, max(20, round(self.scale.customers * self.shares[i])),
                                    self.window.first_day, self.scale.days, self._stream("fake", i))
            by_tenant.append(sorted(people, key=lambda person: person.created))
        rng = self._rng("details")
        everyone = sorted((person for people in by_tenant for person in people), key=lambda p: (p.created, p.tenant))
        for number, person in enumerate(everyone, 1):
            person.id = number
            plain = unicodedata.normalize("NFKD", person.name).encode("ascii", "ignore").decode()
            local = ".".join("".join(c if c.isalnum() else " " for c in plain.lower()).split()) or "customer"
            email = f"{local}.{number}@mail{rng.randrange(1, 9)}.example"
            if self.flaws.strikes("malformed_email"):
                email = malformed(rng, email)
                self.flaws.plant("customers", number, "malformed_email")
            self.sink.add("customers", customer_line(rng, person, email))
        return by_tenant

    def _make_products(self):
        catalogue, first_id = [], 1
        for i, merchant in enumerate(self.merchants):
            rng = self._rng("goods", i)
            count = max(40, round(self.scale.products_per_tenant * rng.uniform(0.7, 1.3)))
            catalogue.append(make_products(rng, merchant, i + 1, count, self.window.first_day, self.scale.days, first_id))
            first_id += count
        return catalogue

    def _trade(self, customers, products):
        ids = Ids()
        trades = [
            TenantTrade(self._rng("trade", i), self.flaws, self.sink, ids, merchant, str(i + 1), customers[i], products[i],
                        self.window, self.scale.orders * self.shares[i], self.scale.sessions_per_order)
            for i, merchant in enumerate(self.merchants)
        ]
        for day in range(self.window.first_day, self.window.last_day + 1):
            for trade in trades:
                trade.run_day(day)

    def _write_products(self, catalogue):
        rng = self._rng("catalogue")
        for product in (product for products in catalogue for product in products):
            stock = product.stock
            if self.flaws.strikes("negative_stock"):
                stock = -1 - rng.randrange(30)
                self.flaws.plant("products", product.id, "negative_stock")
            self.sink.add("products", product_line(rng, product, stock))
