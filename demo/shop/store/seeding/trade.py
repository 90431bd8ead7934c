"""Sessions, events, orders and their items: one tenant, day by day."""

from itertools import accumulate
from types import SimpleNamespace

from .goods import CATEGORIES, cents
from .rhythm import DAY, demand, draw_count, moment_text, utc_hours
from .scales import PRICE_LEVEL

SECOND = 1_000_000
DEVICES = ["mobile", "mobile", "mobile", "desktop", "desktop", "tablet"]
PLAIN_PAGES = ["/", "/", "/", "/search", "/about", "/help/shipping"]
REFERRERS = ['{"referrer": "search"}', '{"referrer": "newsletter"}', '{"referrer": "social"}', "{}", "{}"]
# Share of sessions that go on: to a product, a cart, the checkout, the purchase.
TO_PRODUCT, TO_CART, TO_CHECKOUT, TO_PURCHASE = 0.62, 0.38, 0.55, 0.68


class Ids:
    """Next id of each table; the id columns are filled by the seed, not by their sequences."""

    def __init__(self):
        self.order = self.item = 1


def make_uuid(rng):
    bits = f"{rng.getrandbits(128):032x}"
    return f"{bits[:12]}4{bits[13:16]}a{bits[17:]}"


class TenantTrade:
    """Trade of one tenant. Owns its random stream, so that tenants do not disturb each other."""

    def __init__(self, rng, flaws, sink, ids, merchant, tenant, customers, products, window, orders_mean, sessions_per_order):
        self.rng, self.flaws, self.sink, self.ids = rng, flaws, sink, ids
        self.merchant, self.tenant = merchant, tenant
        self.customers, self.products = customers, products  # customers: by creation
        self.first_day, self.last_day, self.until = window.first_day, window.last_day, window.until
        days = range(self.first_day, self.last_day + 1)
        shape = [demand(merchant, day, self.first_day) for day in days]
        self.means = [orders_mean * value / sum(shape) for value in shape]
        self.sessions_per_order = sessions_per_order
        self.order_number = 0
        self.last_external = ""
        self.next_joining = 0
        self.pool, self.pool_weights = [], []
        self.goods, self.goods_weights = [], []

    def run_day(self, day):
        rng = self.rng
        fresh = self._refresh(day)
        mean = self.means[day - self.first_day] * rng.lognormvariate(0, 0.12)
        hours = list(accumulate(utc_hours(self.merchant.time_zone, day)))
        if not self.pool or not self.goods:
            return
        placed = 0
        for customer in fresh:
            if rng.random() < 0.5:
                at = customer.created + rng.randrange(60, 7200) * SECOND
                if at < self.until:
                    self._order(customer, at, self._basket())
                    placed += 1
        for _ in range(draw_count(rng, mean * self.sessions_per_order)):
            placed += self._session(self._moment(day, hours, 3 * 3600))
        for _ in range(draw_count(rng, max(0.0, mean - placed))):
            self._order(self._buyer(), self._moment(day, hours, 60), self._basket())

    def _refresh(self, day):
        """Who may buy and what is sold today; gives those who join today."""
        midnight = day * DAY * SECOND
        if (day - self.first_day) % 7 == 0 or not self.goods:
            self.goods = [product for product in self.products if product.created < midnight]
            december = demand(self._seasonal, day, day)
            self.goods_weights = list(accumulate(
                product.weight * max(0.1, 1 + CATEGORIES[product.category][1] * (december - 1)) for product in self.goods))
        joined_before = self.next_joining
        while self.next_joining < len(self.customers) and self.customers[self.next_joining].created < midnight + DAY * SECOND:
            self.next_joining += 1
        today = [c for c in self.customers[joined_before:self.next_joining] if c.created >= midnight]
        self.pool = [c for c in self.customers[:self.next_joining] if c.created < midnight and c.leaves > day]
        self.pool_weights = list(accumulate(c.weight for c in self.pool))
        return today

    # A year's wave without week and growth, for the categories' own seasons.
    _seasonal = SimpleNamespace(season=1.6, weekend=1.0, growth=0.0)

    def _moment(self, day, hours, margin):
        """A moment of the day by its rhythm; on the last day early enough for what follows it."""
        second = self.rng.choices(range(24), cum_weights=hours)[0] * 3600 + self.rng.randrange(3600)
        if day == self.last_day:
            second = min(second, DAY - margin - 1 - self.rng.randrange(600))
        return (day * DAY + second) * SECOND + self.rng.randrange(SECOND)

    def _buyer(self):
        return self.rng.choices(self.pool, cum_weights=self.pool_weights)[0]

    def _product(self):
        return self.rng.choices(self.goods, cum_weights=self.goods_weights)[0]

    def _basket(self):
        size = self.rng.choices((1, 2, 3, 4, 5, 8), cum_weights=(30, 55, 75, 87, 95, 100))[0]
        return self.rng.choices(self.goods, cum_weights=self.goods_weights, k=size)

    def _session(self, at):
        """One visit, as far as it goes. Returns the number of orders it led to."""
        rng, conversion = self.rng, self.merchant.conversion
        customer = self._buyer() if rng.random() < 0.55 else None
        visit = [make_uuid(rng), str(customer.id) if customer else r"\N", rng.choice(DEVICES)]
        for _ in range(1 + draw_count(rng, 1.1)):
            self._event(visit, "page_view", rng.choice(PLAIN_PAGES), rng.choice(REFERRERS), at)
            at += rng.randrange(3, 90) * SECOND
        if rng.random() > TO_PRODUCT:
            return 0
        seen = [self._product() for _ in range(1 + draw_count(rng, 1.0))]
        for product in seen:
            if rng.random() < 0.12:  # back to the lists first
                self._event(visit, "page_view", "/search", "{}", at)
                at += rng.randrange(3, 60) * SECOND
            self._event(visit, "product_view", f"/p/{product.id}", f'{{"product_id": {product.id}}}', at)
            at += rng.randrange(5, 180) * SECOND
        if rng.random() > TO_CART * conversion:
            return 0
        basket = seen[: 1 + rng.randrange(len(seen))]
        for product in basket:
            self._event(visit, "add_to_cart", "/cart", f'{{"product_id": {product.id}}}', at)
            at += rng.randrange(4, 60) * SECOND
            if rng.random() < 0.3:
                self._event(visit, "product_view", f"/p/{product.id}", f'{{"product_id": {product.id}}}', at)
                at += rng.randrange(4, 60) * SECOND
        if rng.random() > TO_CHECKOUT:
            return 0
        if customer is None:
            customer = self._buyer()  # to check out is to sign in
            visit[1] = str(customer.id)
        self._event(visit, "checkout", "/checkout", f'{{"items": {len(basket)}}}', at)
        at += rng.randrange(20, 300) * SECOND
        if rng.random() > TO_PURCHASE:
            return 0
        order = self._order(customer, at, basket)
        self._event(visit, "purchase", "/thanks", f'{{"order_id": {order}}}', at)
        return 1

    def _event(self, visit, kind, page, properties, at):
        session, customer, device = visit
        self.sink.add("events", "\t".join((
            make_uuid(self.rng), self.tenant, session, customer, kind, page, device, properties, moment_text(at))))

    def _order(self, customer, at, basket):
        rng, ids = self.rng, self.ids
        order = ids.order
        ids.order += 1
        currency, factor = self.merchant.currency, 1.0
        if self.merchant.second_currency and rng.random() < 0.15:
            currency = self.merchant.second_currency
            factor = PRICE_LEVEL[currency] / PRICE_LEVEL[self.merchant.currency]
        status, updated = self._progress(at)
        total = sum(self._item(order, product, factor, at, status) for product in basket)
        self.sink.add("orders", "\t".join((
            str(order), self.tenant, str(customer.id), self._external(order), status, moment_text(at), moment_text(updated),
            cents(total), currency, customer.address)))
        return order

    def _external(self, order):
        """The order's number in the channel it came by; now and then an import gives one out twice."""
        self.order_number += 1
        if self.last_external and self.flaws.strikes("duplicate_external_id"):
            external, self.last_external = self.last_external, ""
            self.flaws.plant("orders", order, "duplicate_external_id")
            return external
        self.last_external = f"{self.rng.choice(('WEB', 'WEB', 'SHOP', 'MKT'))}-{self.order_number:07d}"
        return self.last_external

    def _item(self, order, product, factor, at, status):
        rng = self.rng
        item = self.ids.item
        self.ids.item += 1
        quantity = rng.choices((1, 2, 3, 6), cum_weights=(74, 91, 97, 100))[0]
        price = max(1, round(product.price * factor))
        discount = quantity * price // rng.choice((10, 5, 20)) if rng.random() < 0.12 else 0
        unit_price = cents(price)
        if self.flaws.strikes("missing_unit_price"):
            unit_price = r"\N"
            self.flaws.plant("order_items", item, "missing_unit_price")
        self.sink.add("order_items", "\t".join((
            str(item), self.tenant, str(order), str(product.id), str(quantity), unit_price, cents(discount))))
        if status != "cancelled":
            while product.stock < quantity:
                product.stock += product.lot
            product.stock -= quantity
            product.changed = max(product.changed, at)
        return quantity * price - discount

    def _progress(self, at):
        """Where an order placed then stands at the end of the data, and since when."""
        rng = self.rng
        if rng.random() < 0.045:
            steps = [("cancelled", at + rng.randrange(3_600, 3 * DAY) * SECOND)]
        else:
            paid = at + rng.randrange(5, 5_400) * SECOND
            shipped = paid + rng.randrange(6 * 3_600, 3 * DAY) * SECOND
            delivered = shipped + rng.randrange(DAY, 6 * DAY) * SECOND
            steps = [("paid", paid), ("shipped", shipped), ("delivered", delivered)]
            if rng.random() < 0.035:
                steps.append(("refunded", delivered + rng.randrange(DAY, 21 * DAY) * SECOND))
        status = ("pending", at)
        for step in steps:
            if step[1] < self.until:
                status = step
        return status
