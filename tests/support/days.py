"""A lake that lives several days in some seconds, and what can be read of its Bronze."""

from __future__ import annotations

import json

from .history import SILVER, History
from .shifted_clock import shifted_clock

DAY = 86_400
LAYERS = [f"{layer}.{table}" for table in SILVER for layer in ("silver", "quarantine")]

COUNTS = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS rows, max(_lsn) AS newest FROM bronze.{table}" for table in SILVER)


class Days:
    """A lake that lives some days, two apart, in one process a day."""

    def __init__(self, worker, source, seed, tarn):
        self.worker, self.source, self.tarn = worker, source, tarn
        self.history = History(source, seed).create()
        self.day = 0
        self.moments: list[tuple[str, list[dict]]] = []  # What Bronze had at a time, in the midst of each day.

    @property
    def clock(self) -> dict[str, str]:
        return shifted_clock(self.worker.folder, 2 * self.day * DAY)

    def live(self, steps: int = 40, stop: bool = True):
        self.tarn.start(environment=self.clock)
        for part in range(4):
            self.history.take_steps(steps // 4)
            if part == 1:
                self.source.execute("TRUNCATE stock")
            self.tarn.wait_caught_up()  # Several flushes a day.
            if part == 1:
                now = self.source.value("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::text")
                self.moments.append((now, self.tarn.query(COUNTS)))
        if stop:
            assert self.tarn.stop() == 0
            self.day += 1

    def archive(self, *arguments) -> dict:
        return json.loads(self.tarn.must("bronze", "archive", "--json", *arguments, environment=self.clock))


def changes(tarn, table: str, *arguments) -> list[dict]:
    return [json.loads(line) for line in tarn.must("bronze", "read", table, *arguments).split("\n") if line]


def state(tarn) -> dict:
    """All that can be read of Bronze."""
    return {"changes": {table: changes(tarn, table) for table in SILVER},
            "queried": {table: tarn.table_rows(f"bronze.{table}") for table in SILVER}}
