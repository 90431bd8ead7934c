"""What a person sees: steps with their times, answers as tables, figures beside their bars."""

import sys
import time
from decimal import Decimal

BOLD, DIM, GREEN, RED, YELLOW, END = (("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[33m", "\033[0m")
                                      if sys.stdout.isatty() else ("",) * 6)


class Screen:
    def __init__(self):
        self.started = time.monotonic()

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self.started)
        return f"{seconds // 60}:{seconds % 60:02}"

    def step(self, text: str):
        print(f"{DIM}{self._clock():>5}{END}  {text}", flush=True)

    def title(self, text: str):
        print(f"\n{BOLD}{text}{END}", flush=True)

    def sql(self, who: str, sql: str):
        lines = " ".join(sql.split())
        print(f"       {DIM}{who}>{END} {lines}", flush=True)

    def rows(self, rows: list[dict], most: int = 8):
        if not rows:
            print("       (no rows)")
            return
        names = list(rows[0])
        cells = [[self._text(row[name]) for name in names] for row in rows[:most]]
        widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
        numeric = [all(isinstance(row[name], (int, float, Decimal)) or row[name] is None for row in rows[:most]) for name in names]
        print("         " + "  ".join(name.ljust(width) for name, width in zip(names, widths)))
        for line in cells:
            print("         " + "  ".join(cell.rjust(width) if right else cell.ljust(width)
                                          for cell, width, right in zip(line, widths, numeric)))
        if len(rows) > most:
            print(f"         … {len(rows) - most} more")
        sys.stdout.flush()

    def figure(self, name: str, value: str, bar: str, met: bool):
        mark = f"{GREEN}met{END}" if met else f"{YELLOW}MISSED{END}"
        print(f"       {name}: {BOLD}{value}{END}   bar {bar}: {mark}", flush=True)

    def say(self, text: str):
        print(f"       {text}", flush=True)

    def bad(self, text: str):
        print(f"       {RED}{text}{END}", flush=True)

    @staticmethod
    def _text(value) -> str:
        if value is None:
            return ""
        if isinstance(value, float):
            return f"{value:.4g}"
        text = str(value)
        return text if len(text) <= 40 else text[:39] + "…"
