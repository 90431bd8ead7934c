"""DDL between two rounds, that tarn meets while it is behind, down or in the midst of a copy."""

from __future__ import annotations

import random

from .operations import insert_into, salt
from .shapes import Table


def drop_column(chaos, rng: random.Random, table: Table) -> str:
    columns = [c for c in table.columns if c.name != "tenant_id"]
    if len(columns) < 3:
        return vacuum_full(chaos, rng, table)
    column = rng.choice(columns)
    table.columns.remove(column)
    return f"ALTER TABLE {table.name} DROP COLUMN {column.name}"


def rename_column(chaos, rng: random.Random, table: Table) -> str:
    """In the lake it keeps its name."""
    column = rng.choice([c for c in table.columns if c.name != "tenant_id"] or [None])
    if column is None:
        return vacuum_full(chaos, rng, table)
    old, column.name = column.name, f"r{next(table.numbers)}"
    return f"ALTER TABLE {table.name} RENAME COLUMN {old} TO {column.name}"


def make_again(chaos, rng: random.Random, table: Table) -> str:
    """Another table of the same name, with other rows."""
    if any(c.name != c.lake for c in table.columns):  # Names are all that tells which column is which.
        return vacuum_full(chaos, rng, table)
    rows = f"generate_series(0, {rng.randrange(table.keys)}) g"
    return f"DROP TABLE {table.name}; {table.ddl()} {insert_into(table, table.columns, salt(rng), rows)}"


def vacuum_full(chaos, rng: random.Random, table: Table) -> str:
    """Rows move, and are the same."""
    return f"VACUUM FULL {table.name}"


def resync(chaos, rng: random.Random, table: Table) -> str:
    chaos.tarn.command("resync", "--no-wait", f"public.{table.name}")
    return f"UPDATE {table.name} SET {table.columns[0].name} = NULL"


RESHAPINGS = [(3, drop_column), (3, rename_column), (2, make_again), (2, vacuum_full), (1, resync)]


def reshape(chaos, rng: random.Random):
    """Nobody writes meanwhile: a statement of before would not fit."""
    for _ in range(rng.choice((0, 1, 1, 2))):
        table = rng.choice(chaos.tables)
        make = rng.choices([function for _, function in RESHAPINGS], [weight for weight, _ in RESHAPINGS])[0]
        if table.append_only:  # What a copy of it lacks nobody tells.
            continue
        table.refilled = True
        sql = make(chaos, rng, table)
        chaos.journal.add("chaos", sql)
        chaos.database.execute(sql)
