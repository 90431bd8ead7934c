from django.contrib import admin

from .models import Customer, Event, Invoice, Order, OrderItem, Product, Subscription, Tenant


@admin.register(Tenant)
class TenantAdmin(admin.ModelAdmin):
    list_display = ["name", "slug", "country", "time_zone", "plan", "is_active", "created_at"]
    list_filter = ["plan", "is_active", "country"]
    search_fields = ["name", "slug"]


class TenantOwnedAdmin(admin.ModelAdmin):
    # Counting a large table for the "n of m" line would cost more than the page itself.
    show_full_result_count = False
    list_select_related = ["tenant"]
    list_per_page = 50


@admin.register(Customer)
class CustomerAdmin(TenantOwnedAdmin):
    list_display = ["full_name", "email", "tenant", "country", "marketing_opt_in", "created_at"]
    list_filter = ["tenant", "country", "marketing_opt_in"]
    search_fields = ["full_name", "email"]
    date_hierarchy = "created_at"


@admin.register(Product)
class ProductAdmin(TenantOwnedAdmin):
    list_display = ["sku", "name", "tenant", "category", "price", "currency", "stock", "is_active"]
    list_filter = ["tenant", "category", "is_active"]
    search_fields = ["sku", "name"]


class OrderItemInline(admin.TabularInline):
    model = OrderItem
    extra = 0
    raw_id_fields = ["tenant", "product"]


@admin.register(Order)
class OrderAdmin(TenantOwnedAdmin):
    list_display = ["external_id", "tenant", "customer", "status", "total", "currency", "placed_at"]
    list_filter = ["tenant", "status", "currency"]
    list_select_related = ["tenant", "customer"]
    search_fields = ["external_id"]
    date_hierarchy = "placed_at"
    raw_id_fields = ["customer"]
    inlines = [OrderItemInline]


@admin.register(Event)
class EventAdmin(TenantOwnedAdmin):
    list_display = ["occurred_at", "tenant", "kind", "page", "device", "session_id"]
    list_filter = ["tenant", "kind", "device"]
    raw_id_fields = ["customer"]


@admin.register(Subscription)
class SubscriptionAdmin(TenantOwnedAdmin):
    list_display = ["customer", "tenant", "plan", "price", "currency", "status", "started_at", "ended_at"]
    list_filter = ["tenant", "plan", "status"]
    list_select_related = ["tenant", "customer"]
    raw_id_fields = ["customer"]


@admin.register(Invoice)
class InvoiceAdmin(TenantOwnedAdmin):
    list_display = ["number", "tenant", "state", "amount", "currency", "issued_on", "due_on", "paid_at"]
    list_filter = ["tenant", "state", "currency"]
    search_fields = ["number"]
    date_hierarchy = "issued_on"
    raw_id_fields = ["subscription"]
