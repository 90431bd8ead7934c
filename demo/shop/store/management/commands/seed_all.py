"""Fills the shop with months of plausible trade."""

import datetime
import time

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from store.seeding.copy_sink import CopySink, SetAsideConstraints
from store.seeding.rhythm import EPOCH
from store.seeding.scales import SCALES
from store.seeding.shop_seed import COLUMNS, ShopSeed


class Command(BaseCommand):
    help = "Fill the shop: the same scale, seed and last day always give the same rows."

    def add_arguments(self, parser):
        parser.add_argument("--scale", choices=sorted(SCALES), default="small")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--until", type=datetime.date.fromisoformat, metavar="DATE",
                            help="the data ends at 00:00 UTC of this day (default: today)")
        parser.add_argument("--defects", metavar="FILE", help="list of the planted defects, JSON lines: table, id, defect")
        parser.add_argument("--replace", action="store_true", help="empty the shop's tables first")

    def handle(self, scale, seed, until, defects, replace, **options):
        until = until or datetime.datetime.now(datetime.timezone.utc).date()
        started = time.monotonic()
        tables = list(COLUMNS)
        with transaction.atomic(), connection.cursor() as cursor:
            self._make_room(cursor, tables, replace)
            constraints = SetAsideConstraints(cursor, tables)
            constraints.drop()
            sink = CopySink(cursor, COLUMNS, self._say)
            shop = ShopSeed(SCALES[scale], seed, (until - EPOCH).days, sink)
            shop.run()
            sink.progress()
            self._say("indexes and foreign keys ...")
            constraints.restore()
            self._move_sequences(cursor, tables)
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {', '.join(tables)}")
        if defects:
            shop.flaws.write(defects)
        for table in tables:
            self._say(f"{table:<14}{sink.rows[table]:>12,}")
        self._say(f"{sum(sink.rows.values()):,} rows and {shop.flaws.count():,} planted defects "
                  f"in {time.monotonic() - started:.1f} s; data ends at {until} 00:00 UTC")

    def _say(self, text):
        self.stdout.write(text)
        self.stdout.flush()

    def _make_room(self, cursor, tables, replace):
        if replace:
            cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
            return
        cursor.execute(" UNION ALL ".join(f"(SELECT '{table}' FROM {table} LIMIT 1)" for table in tables))
        if found := [row[0] for row in cursor.fetchall()]:
            raise CommandError(f"the tables {', '.join(found)} have rows already; --replace empties the shop first")

    def _move_sequences(self, cursor, tables):
        for table in tables:
            if table != "events":
                cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
