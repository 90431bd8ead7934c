"""The shop: one database, many tenants. Every table but tenants carries tenant_id.

Some constraints that a careful application would have are left out on purpose: stock may fall below zero, an e-mail is
any text, a line may lack its price, a subscription may end before it starts, and two imports may bring the same
external order number. Such rows are what models/silver/*.yml must find.
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class CurrencyField(models.CharField):
    """ISO 4217 code as char(3), which CharField would make a varchar."""

    def __init__(self, *args, **kwargs):
        kwargs["max_length"] = 3
        super().__init__(*args, **kwargs)

    def db_type(self, connection):
        return "char(3)"

    def deconstruct(self):
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, kwargs


def money(**options):
    return models.DecimalField(max_digits=12, decimal_places=2, **options)


class Tenant(models.Model):
    class Plan(models.TextChoices):
        STARTER = "starter"
        GROWTH = "growth"
        ENTERPRISE = "enterprise"

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    country = models.CharField(max_length=2)
    time_zone = models.CharField(max_length=60, default="UTC")
    plan = models.CharField(max_length=20, choices=Plan, default=Plan.STARTER)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "tenants"

    def __str__(self):
        return self.name


class TenantOwned(models.Model):
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)

    class Meta:
        abstract = True


class Customer(TenantOwned):
    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.CharField(max_length=254)
    full_name = models.CharField(max_length=160)
    phone = models.CharField(max_length=40, blank=True)
    birth_date = models.DateField(null=True, blank=True)
    country = models.CharField(max_length=2)
    marketing_opt_in = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    notes = models.TextField(blank=True)

    class Meta:
        db_table = "customers"
        constraints = [models.UniqueConstraint(fields=["tenant", "email"], name="customers_tenant_email")]
        indexes = [models.Index(fields=["tenant", "created_at"], name="customers_tenant_created")]

    def __str__(self):
        return self.full_name


class Product(TenantOwned):
    sku = models.CharField(max_length=40)
    name = models.CharField(max_length=160)
    category = models.CharField(max_length=60)
    cost = money()
    price = money()
    currency = CurrencyField()
    stock = models.IntegerField(default=0)
    attributes = models.JSONField(default=dict, blank=True)
    tags = ArrayField(models.TextField(), default=list, blank=True)
    description = models.TextField(blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "products"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "sku"], name="products_tenant_sku"),
            models.CheckConstraint(condition=Q(price__gte=0) & Q(cost__gte=0), name="products_money_not_negative"),
        ]
        indexes = [models.Index(fields=["tenant", "category"], name="products_tenant_category")]

    def __str__(self):
        return f"{self.sku} {self.name}"


class Order(TenantOwned):
    class Status(models.TextChoices):
        PENDING = "pending"
        PAID = "paid"
        SHIPPED = "shipped"
        DELIVERED = "delivered"
        CANCELLED = "cancelled"
        REFUNDED = "refunded"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="orders")
    external_id = models.CharField(max_length=60)
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    placed_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    total = money(default=0)
    currency = CurrencyField()
    shipping_address = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "orders"
        constraints = [models.CheckConstraint(condition=Q(total__gte=0), name="orders_total_not_negative")]
        indexes = [
            models.Index(fields=["tenant", "placed_at"], name="orders_tenant_placed"),
            models.Index(fields=["tenant", "external_id"], name="orders_tenant_external"),
        ]

    def __str__(self):
        return f"{self.external_id} ({self.status})"


class OrderItem(TenantOwned):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="items")
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.IntegerField()
    unit_price = money(null=True, blank=True)
    discount = money(default=0)

    class Meta:
        db_table = "order_items"
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_items_quantity_positive"),
            models.CheckConstraint(condition=Q(discount__gte=0), name="order_items_discount_not_negative"),
        ]

    def __str__(self):
        return f"{self.quantity} x {self.product_id}"


class Event(TenantOwned):
    class Kind(models.TextChoices):
        PAGE_VIEW = "page_view"
        PRODUCT_VIEW = "product_view"
        ADD_TO_CART = "add_to_cart"
        CHECKOUT = "checkout"
        PURCHASE = "purchase"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session_id = models.UUIDField()
    customer = models.ForeignKey(Customer, on_delete=models.SET_NULL, null=True, blank=True)
    kind = models.CharField(max_length=20, choices=Kind)
    page = models.CharField(max_length=200)
    device = models.CharField(max_length=20)
    properties = models.JSONField(default=dict, blank=True)
    occurred_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "events"
        indexes = [
            models.Index(fields=["tenant", "occurred_at"], name="events_tenant_occurred"),
            models.Index(fields=["session_id"], name="events_session"),
        ]

    def __str__(self):
        return f"{self.kind} {self.page}"


class Subscription(TenantOwned):
    class Status(models.TextChoices):
        TRIALING = "trialing"
        ACTIVE = "active"
        PAST_DUE = "past_due"
        CANCELLED = "cancelled"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="subscriptions")
    plan = models.CharField(max_length=20)
    price = money(help_text="per month")
    currency = CurrencyField()
    status = models.CharField(max_length=12, choices=Status)
    started_at = models.DateTimeField()
    trial_ends_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True, help_text="when the customer gave notice")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="when the service stopped")

    class Meta:
        db_table = "subscriptions"
        constraints = [models.CheckConstraint(condition=Q(price__gte=0), name="subscriptions_price_not_negative")]
        indexes = [models.Index(fields=["tenant", "status"], name="subscriptions_tenant_status")]

    def __str__(self):
        return f"{self.plan} ({self.status})"


class Invoice(TenantOwned):
    class State(models.TextChoices):
        DRAFT = "draft"
        OPEN = "open"
        PAID = "paid"
        VOID = "void"
        UNCOLLECTIBLE = "uncollectible"

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="invoices")
    number = models.CharField(max_length=40)
    state = models.CharField(max_length=14, choices=State, default=State.DRAFT)
    amount = money()
    currency = CurrencyField()
    issued_on = models.DateField()
    due_on = models.DateField()
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "invoices"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="invoices_tenant_number"),
            models.CheckConstraint(condition=Q(due_on__gte=F("issued_on")), name="invoices_due_after_issue"),
        ]
        indexes = [models.Index(fields=["tenant", "issued_on"], name="invoices_tenant_issued")]

    def __str__(self):
        return f"{self.number} ({self.state})"
