"""factory-boy factories: single plausible objects for tests and for live traffic."""

import uuid
from decimal import Decimal

import factory
from django.utils import timezone

from .models import Customer, Order, OrderItem, Product, Tenant


class TenantFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Tenant

    name = factory.Faker("company")
    slug = factory.LazyFunction(lambda: f"tenant-{uuid.uuid4().hex[:12]}")
    country = "DE"
    time_zone = "Europe/Berlin"


class CustomerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Customer

    tenant = factory.SubFactory(TenantFactory)
    full_name = factory.Faker("name")
    email = factory.LazyFunction(lambda: f"{uuid.uuid4().hex[:16]}@mail.example")
    country = factory.LazyAttribute(lambda customer: customer.tenant.country)
    created_at = factory.LazyFunction(timezone.now)


class ProductFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Product

    tenant = factory.SubFactory(TenantFactory)
    sku = factory.LazyFunction(lambda: f"NEW-{uuid.uuid4().hex[:12]}")
    name = factory.Faker("catch_phrase")
    category = "books"
    cost = Decimal("8.00")
    price = Decimal("19.90")
    currency = "EUR"
    stock = 100


class OrderFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Order

    customer = factory.SubFactory(CustomerFactory)
    tenant = factory.SelfAttribute("customer.tenant")
    external_id = factory.LazyFunction(lambda: f"WEB-{uuid.uuid4().hex[:12]}")
    currency = "EUR"
    shipping_address = factory.LazyAttribute(lambda order: {"country": order.customer.country})


class OrderItemFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = OrderItem

    order = factory.SubFactory(OrderFactory)
    tenant = factory.SelfAttribute("order.tenant")
    product = factory.SubFactory(ProductFactory, tenant=factory.SelfAttribute("..order.tenant"))
    quantity = 1
    unit_price = factory.SelfAttribute("product.price")
