"""What a table that tarn wrote must hold, by what the program that wrote it told; and whether rows that a reader gave are that."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

COMMITTED = "_hoodie_commit_time"
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
Rows = dict[tuple, dict]


@dataclass
class Moment:
    """A table after a commit. Rows by their identity; each has the columns of then and the instant that wrote it."""
    instant: str
    step: str
    columns: list[tuple[str, str]]
    rows: Rows


@dataclass
class History:
    """A table's moments, oldest first."""
    table: str
    identities: tuple[str, ...]
    moments: list[Moment] = field(default_factory=list)
    kept_from: str = ""  # Instants before cannot be read any more.
    steps: list[str] = field(default_factory=list)
    columns: list[tuple[str, str]] = field(default_factory=list)

    def add(self, line: dict):
        """A line that the program printed."""
        if "columns" in line:
            self.columns = [tuple(column) for column in line["columns"]]
            return
        self.steps.append(line["step"])
        if "from" in line:
            self.kept_from = max(self.kept_from, line["from"])
            return
        rows = dict(self.moments[-1].rows) if self.moments else {}
        for identity in line["gone"]:
            del rows[tuple(identity)]
        names = [name for name, _ in self.columns]
        for cells in line["rows"]:
            row = dict(zip(names, cells)) | {COMMITTED: line["instant"]}
            rows[tuple(row[name] for name in self.identities)] = row
        self.moments.append(Moment(line["instant"], line["step"], self.columns, rows))

    def at(self, instant: str) -> Moment:
        return [moment for moment in self.moments if moment.instant <= instant][-1]

    def versions(self) -> set[tuple]:
        """Every row that there ever was: identity and instant."""
        return {(*key, row[COMMITTED]) for moment in self.moments for key, row in moment.rows.items()}


@dataclass(frozen=True)
class View:
    """A way of reading a table."""
    kind: str  # "latest", "as of", "read optimized", "increment"
    begin: str = ""
    end: str = ""

    def __str__(self):
        return " ".join(part for part in (self.kind, self.begin, self.end) if part)


def active_commits(table: Path) -> list[str]:
    """Instants of commits that the timeline has, oldest first."""
    return sorted(path.name.split(".")[0] for path in (table / ".hoodie").iterdir() if path.suffix in (".commit", ".deltacommit", ".replacecommit"))


def views_of(history: History, table: Path, merge_on_read: bool, seed: int) -> list[View]:
    """Newest; as of every commit that is kept; base files alone; two increments."""
    kept = [moment.instant for moment in history.moments if moment.instant >= history.kept_from]
    views = [View("latest")] + [View("as of", end=instant) for instant in kept]
    if merge_on_read:
        views.append(View("read optimized"))
    active = [instant for instant in active_commits(table) if instant >= history.kept_from]
    if len(active) > 2:
        # What was before the first must be known to be older than all that is asked for.
        begin, middle = sorted(random.Random(f"{seed} {history.table}").sample(active[:-1], 2))
        views += [View("increment", begin, middle), View("increment", middle, active[-1])]
    return views


def expected(history: History, view: View) -> Rows:
    if view.kind == "increment":
        return {key: row for key, row in history.at(view.end).rows.items() if view.begin < row[COMMITTED] <= view.end}
    return history.at(view.end or "9").rows


def canonical(value, kind: str):
    """A value in a form in which two equal ones are the same."""
    if value is None:
        return None
    if kind == "folder":
        return None if value in ("", NULL_FOLDER) else value
    if kind == "decimal":
        return Decimal(value)
    if kind in ("float", "double") and not isinstance(value, str):
        return "nan" if value != value else f"{value:+}"
    return value


def differences(history: History, view: View, found: list[dict], folders: tuple[str, ...] = ()) -> list[str]:
    """In words, a few; none when the reader is right. `found`: rows of the newest columns, values as the oracle's; columns that
    are of later than the view may be there and be null. `folders`: columns of text that the reader takes from the names of
    folders, which say the same of null, of nothing and of the word for null."""
    rows: Rows = {}
    bases_alone = view.kind == "read optimized"
    for row in found:
        # Base files have a row that moved where it was, too, until that is compacted.
        key = tuple(row[name] for name in (*history.identities, COMMITTED)[:None if bases_alone else -1])
        if key in rows:
            return [f"{key} is there twice"]
        rows[key] = row
    if bases_alone and history.moments[-1].step != "compact_all":
        known = history.versions()
        strange = [f"{key} never was" for key in rows.keys() - known]
        wanted = {key: history.at(key[-1]).rows[key[:-1]] for key in rows.keys() & known}
    elif bases_alone:
        wanted, strange = {(*key, row[COMMITTED]): row for key, row in history.moments[-1].rows.items()}, []
    else:
        wanted, strange = expected(history, view), []
    strange += [f"{key} is missing" for key in wanted.keys() - rows.keys()] + [f"{key} is too many" for key in rows.keys() - wanted.keys()]
    kinds = dict(history.columns) | {COMMITTED: "text"} | dict.fromkeys(folders, "folder")
    for key in wanted.keys() & rows.keys():
        for name, value in rows[key].items():
            want = wanted[key].get(name)
            if canonical(value, kinds[name]) != canonical(want, kinds[name]):
                strange.append(f"{key}.{name} is {value!r} and not {want!r}")
    return strange[:6] + ([f"and {len(strange) - 6} more"] if len(strange) > 6 else [])
