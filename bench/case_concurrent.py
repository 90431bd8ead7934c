"""Many sessions of a tenant's analyst at once, who ask the shop's questions in turn.

Alone: one session that asks again as soon as it is answered. Closed loop: N such sessions. Open loop: questions arrive by
chance (exponential gaps) at 60 % of the best rate measured, whether or not those before are answered; N sessions serve
them, and a question's time begins when it arrives.
"""

import itertools
import queue
import random
import threading
import time
from pathlib import Path

from .measure import Bench, memory_mb, percentile, result
from .shop import ANALYST, ServedShop, serve_shop
from .shop_questions import DEMONSTRATIONS, model_questions

SHARE_OF_CAPACITY = 0.6
MODELS = ("revenue_daily", "best_sellers", "conversion_funnel")
SIMPLE = ("orders_by_tenant", "all_orders", "largest_order", "cost_gold")


class Sessions:
    """N connections, each with a thread that asks what `next_question` gives until it gives None."""

    def __init__(self, served: ServedShop, count: int):
        self.clients = [served.lake.connect() for _ in range(count)]
        self.waits_ms: list[float] = []

    def run(self, next_question) -> float:
        """Seconds until the last is answered. A question comes with the time from which it waits."""
        self.waits_ms, failures = [], []

        def serve(client):
            try:
                while (asked := next_question()) is not None:
                    since, sql = asked
                    client.query(sql, ANALYST)
                    self.waits_ms.append((time.monotonic() - since) * 1000)
            except Exception as error:
                failures.append(error)
        threads = [threading.Thread(target=serve, args=(client,)) for client in self.clients]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return time.monotonic() - started

    def closed(self, questions, seconds: float) -> float:
        """Answers a second."""
        turn, ends = itertools.count(), time.monotonic() + seconds

        def next_question():
            now = time.monotonic()
            return (now, questions[next(turn) % len(questions)]) if now < ends else None
        return self._rate(self.run(next_question))

    def open(self, questions, rate: float, seconds: float) -> float:
        arrivals, draw = queue.SimpleQueue(), random.Random(1)

        def arrive():
            due, began = time.monotonic(), time.monotonic()
            for number in itertools.count():
                due += draw.expovariate(rate)
                if due > began + seconds:
                    break
                time.sleep(max(0.0, due - time.monotonic()))
                arrivals.put((due, questions[number % len(questions)]))
            for _ in self.clients:
                arrivals.put(None)
        source = threading.Thread(target=arrive)
        source.start()
        took = self.run(arrivals.get)
        source.join()
        return self._rate(took)

    def _rate(self, seconds: float) -> float:
        return len(self.waits_ms) / seconds

    def close(self):
        for client in self.clients:
            client.close()


def _questions(served: ServedShop) -> list[str]:
    models = model_questions(served.models)
    return [models[name] for name in MODELS] + [DEMONSTRATIONS[name] for name in SIMPLE]


def _forget_peak(pid: int):
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def concurrent(bench: Bench):
    served, seconds = serve_shop(bench), 0.5 if bench.smoke else 30
    questions = _questions(served)
    one = Sessions(served, 1)
    one.closed(questions, seconds / 5)  # Warm.
    alone = one.closed(questions, seconds)
    alone_p99 = percentile(one.waits_ms, 0.99)
    one.close()
    yield result("query.concurrent.1.closed_per_s", alone, "answers/s")
    yield result("query.concurrent.1.closed_p99_ms", alone_p99, "ms")
    for count in (10, 50):
        sessions = Sessions(served, count)
        _forget_peak(served.lake.process.pid)
        closed = sessions.closed(questions, seconds)
        yield result(f"query.concurrent.{count}.closed_per_s", closed, "answers/s", "one session", closed / alone)
        yield result(f"query.concurrent.{count}.closed_peak_rss_mb", memory_mb(served.lake.process.pid, "VmHWM"), "MB")
        _forget_peak(served.lake.process.pid)
        sessions.open(questions, SHARE_OF_CAPACITY * max(alone, closed), seconds)
        p99 = percentile(sessions.waits_ms, 0.99)
        yield result(f"query.concurrent.{count}.open_p99_ms", p99, "ms", "one session, closed loop", p99 / alone_p99)
        yield result(f"query.concurrent.{count}.peak_rss_mb", memory_mb(served.lake.process.pid, "VmHWM"), "MB")
        sessions.close()
