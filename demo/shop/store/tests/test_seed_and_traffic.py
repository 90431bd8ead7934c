"""`manage.py test store`: the seed repeats itself, refuses to mix, and live traffic leaves the shop sound."""

import datetime
import io
import json
import tempfile
from pathlib import Path

from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count, F, Sum
from django.test import TransactionTestCase

from store.models import Event, Order, OrderItem, Product
from store.traffic import Traffic

UNTIL = datetime.date(2026, 3, 1)


def seed(number, **options):
    call_command("seed_all", scale="small", seed=number, until=UNTIL, stdout=io.StringIO(), **options)


def fingerprint():
    with connection.cursor() as cursor:
        sums = []
        for model in (Order, OrderItem, Product, Event):
            cursor.execute(f"SELECT count(*), sum(hashtextextended(x::text, 0)) FROM {model._meta.db_table} x")
            sums.append(cursor.fetchone())
    return sums


class SeedTest(TransactionTestCase):
    def test_same_seed_same_rows_and_defects_as_listed(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "defects.jsonl"
            seed(5, defects=str(path))
            first = fingerprint()
            planted = [json.loads(line) for line in path.read_text().splitlines()]
            seed(5, replace=True)
            self.assertEqual(fingerprint(), first)
        negative = {flaw["id"] for flaw in planted if flaw["defect"] == "negative_stock"}
        self.assertTrue(negative)
        self.assertEqual(set(Product.objects.filter(stock__lt=0).values_list("id", flat=True)), negative)
        with self.assertRaisesMessage(CommandError, "--replace"):
            seed(6)
        seed(6, replace=True)
        self.assertNotEqual(fingerprint(), first)

    def test_traffic_keeps_totals_and_tenants_together(self):
        seed(5)
        last = Order.objects.latest("id").id
        traffic = Traffic(seed=1)
        actions = {traffic.step().action for _ in range(150)}
        self.assertIn("place_order", actions)
        fresh = Order.objects.filter(id__gt=last)
        self.assertGreater(fresh.count(), 20)
        lines = fresh.annotate(sold=Sum(F("items__quantity") * F("items__unit_price")), lines=Count("items"))
        self.assertFalse(lines.exclude(total=F("sold")).exists())
        self.assertFalse(OrderItem.objects.exclude(tenant_id=F("order__tenant_id")).exists())
        self.assertFalse(OrderItem.objects.exclude(tenant_id=F("product__tenant_id")).exists())
