"""Live traffic for a while."""

import json
import signal
import threading
import time
from collections import Counter

from django.core.management.base import BaseCommand, CommandError

from store.traffic import Traffic


class Command(BaseCommand):
    help = "Make live traffic until the time or the orders are up, or until SIGTERM."

    def add_arguments(self, parser):
        parser.add_argument("--rate", type=float, default=10, help="transactions a second, about (default: 10)")
        parser.add_argument("--seconds", type=float, help="stop after so long")
        parser.add_argument("--orders", type=int, help="stop after so many new orders")
        parser.add_argument("--seed", type=int, default=None, help="repeat the same actions")
        parser.add_argument("--markers", metavar="FILE", help="a JSON line for each new order, written after its commit")

    def handle(self, rate, seconds, orders, seed, markers, **options):
        if rate <= 0:
            raise CommandError(f"--rate is {rate}; it must be above zero")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        try:
            traffic = Traffic(seed)
        except LookupError as error:
            raise CommandError(str(error)) from error
        marks = open(markers, "a", encoding="utf-8", buffering=1) if markers else None
        counts, placed = Counter(), 0
        started = due = time.monotonic()
        while not stop.is_set() and (seconds is None or time.monotonic() - started < seconds):
            if orders is not None and placed >= orders:
                break
            done = traffic.step()
            counts[done.action] += 1
            if done.action == "place_order":
                placed += 1
                if marks:
                    marks.write(self._mark(done.order))
            # Behind schedule for more than a second: give the backlog up rather than burst.
            due = max(due + 1 / rate, time.monotonic() - 1)
            stop.wait(max(0.0, due - time.monotonic()))
        if marks:
            marks.close()
        self._summary(counts, time.monotonic() - started)

    def _mark(self, order):
        return json.dumps({
            "table": "orders", "id": order.id, "tenant_id": order.tenant_id, "external_id": order.external_id,
            "total": str(order.total), "committed_at_us": time.time_ns() // 1000}) + "\n"

    def _summary(self, counts, elapsed):
        total = sum(counts.values())
        parts = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        self.stdout.write(f"{total} transactions in {elapsed:.1f} s ({total / max(elapsed, 1e-3):.1f}/s): {parts}")
