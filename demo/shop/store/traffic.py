"""Live traffic: what people do in the shop, one transaction each, through the ORM."""

import base64
import random
import uuid
from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from .factories import CustomerFactory
from .models import Customer, Event, Order, OrderItem, Product, Tenant
from .seeding.goods import SENTENCES

NEXT_STATUS = {
    Order.Status.PENDING: Order.Status.PAID,
    Order.Status.PAID: Order.Status.SHIPPED,
    Order.Status.SHIPPED: Order.Status.DELIVERED,
    Order.Status.DELIVERED: Order.Status.REFUNDED,
}
KEPT_ORDERS = 2_000


@dataclass(frozen=True)
class Done:
    """A committed transaction: what it was and the order it concerned, if any."""

    action: str
    order: Order | None = None


class Traffic:
    """Draws one action after the other. One thread; uses Django's default connection."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.tenants = list(Tenant.objects.filter(is_active=True).order_by("id"))
        self.customers = self._by_tenant(Customer)
        self.products = self._by_tenant(Product)
        self.tenants = [t for t in self.tenants if self.customers.get(t.id) and self.products.get(t.id)]
        if not self.tenants:
            raise LookupError("the shop has no tenant with customers and products; run `manage.py seed_all` first")
        # A larger tenant has more of the traffic.
        self.tenant_weights = [len(self.customers[tenant.id]) for tenant in self.tenants]
        moving = Order.objects.filter(status__in=["pending", "paid", "shipped"]).order_by("-id")
        self.moving = deque(moving.values_list("id", flat=True)[:KEPT_ORDERS], maxlen=KEPT_ORDERS)
        self.actions = {
            self.place_order: 38, self.move_order: 28, self.browse: 10, self.restock: 8, self.change_price: 5,
            self.rewrite_description: 4, self.delete_order: 3, self.new_customer: 4,
        }

    def step(self):
        """One transaction, committed on return."""
        action = self.rng.choices(list(self.actions), weights=list(self.actions.values()))[0]
        with transaction.atomic():
            order = action()
        return Done(action.__name__, order)

    def _by_tenant(self, model):
        ids = {}
        for tenant, row in model.objects.order_by("id").values_list("tenant_id", "id"):
            ids.setdefault(tenant, []).append(row)
        return ids

    def _tenant(self):
        return self.rng.choices(self.tenants, weights=self.tenant_weights)[0]

    def _uuid(self):
        return uuid.UUID(int=self.rng.getrandbits(128), version=4)

    def _product(self):
        return Product.objects.filter(id=self.rng.choice(self.products[self._tenant().id]))

    def _events(self, tenant, customer, session, kinds):
        now, device = timezone.now(), self.rng.choice(["mobile", "desktop", "tablet"])
        Event.objects.bulk_create([
            Event(id=self._uuid(), tenant=tenant, session_id=session, customer_id=customer, kind=kind, page=page,
                  device=device, properties=properties, occurred_at=now)
            for kind, page, properties in kinds
        ])

    def place_order(self):
        tenant = self._tenant()
        customer = self.rng.choice(self.customers[tenant.id])
        chosen = self.rng.choices(self.products[tenant.id], k=self.rng.randint(1, 4))
        # In the order of their ids: two shops at work must not wait for each other's rows in a circle.
        products = list(Product.objects.filter(id__in=chosen).defer("description").order_by("id"))
        now = timezone.now()
        lines = [(product, self.rng.choice([1, 1, 1, 2, 3])) for product in products]
        order = Order.objects.create(
            tenant=tenant, customer_id=customer, external_id=f"WEB-{self._uuid().hex[:12]}", currency=products[0].currency,
            placed_at=now, updated_at=now, total=sum(product.price * quantity for product, quantity in lines),
            shipping_address={"country": tenant.country})
        OrderItem.objects.bulk_create([
            OrderItem(tenant=tenant, order=order, product=product, quantity=quantity, unit_price=product.price)
            for product, quantity in lines
        ])
        for product, quantity in lines:
            # The shelf is filled up before it runs empty.
            lot = 100 if product.stock < quantity + 20 else 0
            Product.objects.filter(id=product.id).update(stock=F("stock") - quantity + lot, updated_at=now)
        seen = [("product_view", f"/p/{product.id}", {"product_id": product.id}) for product in products]
        self._events(tenant, customer, self._uuid(), seen + [
            ("checkout", "/checkout", {"items": len(lines)}), ("purchase", "/thanks", {"order_id": order.id})])
        self.moving.appendleft(order.id)
        return order

    def move_order(self):
        """An order's next status; some are cancelled before they ship."""
        if not self.moving:
            return None
        order = Order.objects.filter(id=self.rng.choice(self.moving)).first()
        if order is None:
            return None
        early = order.status in (Order.Status.PENDING, Order.Status.PAID)
        cancelled = early and self.rng.random() < 0.06
        order.status = Order.Status.CANCELLED if cancelled else NEXT_STATUS.get(order.status, order.status)
        order.updated_at = timezone.now()
        order.save(update_fields=["status", "updated_at"])
        if order.status in (Order.Status.CANCELLED, Order.Status.REFUNDED) or (
                order.status == Order.Status.DELIVERED and self.rng.random() < 0.95):
            self.moving.remove(order.id)
        return order

    def delete_order(self):
        """An order is erased with its items, as on a customer's request."""
        if not self.moving:
            return None
        number = self.rng.choice(self.moving)
        self.moving.remove(number)
        order = Order.objects.filter(id=number).first()
        if order is not None:
            order.delete()
            order.id = number
        return order

    def browse(self):
        tenant = self._tenant()
        customer = self.rng.choice(self.customers[tenant.id]) if self.rng.random() < 0.5 else None
        product = self.rng.choice(self.products[tenant.id])
        kinds = [("page_view", "/", {}), ("product_view", f"/p/{product}", {"product_id": product}),
                 ("add_to_cart", "/cart", {"product_id": product})]
        self._events(tenant, customer, self._uuid(), kinds[: self.rng.randint(1, 3)])

    def restock(self):
        """Leaves the description alone: a large one is not even in the row's change message."""
        self._product().update(stock=F("stock") + self.rng.choice([20, 40, 60]), updated_at=timezone.now())

    def change_price(self):
        factor = Decimal(self.rng.choice(["0.95", "0.98", "1.02", "1.05"]))
        product = self._product().defer("description").get()
        product.price = max(Decimal("1.00"), (product.price * factor).quantize(Decimal("0.01")))
        product.updated_at = timezone.now()
        product.save(update_fields=["price", "updated_at"])

    def rewrite_description(self):
        text = " ".join(self.rng.choices(SENTENCES, k=6))
        if self.rng.random() < 0.5:
            text += "\n\nData sheet: " + base64.b64encode(self.rng.randbytes(8_000)).decode()
        self._product().update(description=text, updated_at=timezone.now())

    def new_customer(self):
        tenant = self._tenant()
        customer = CustomerFactory(tenant=tenant)
        self.customers[tenant.id].append(customer.id)
