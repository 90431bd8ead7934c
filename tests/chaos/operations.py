"""What an application does to its tables: each generator makes the statements of one step from a random number generator and a
table."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from .shapes import KINDS, Column, Table

FAR = 100_000  # Numbers of rows that large transactions make.


@dataclass
class Step:
    statements: list[str]
    risky: bool = False  # May break a constraint: stands in a savepoint of its own.
    added: list[tuple[Table, Column]] = field(default_factory=list)


def span(rng: random.Random, table: Table) -> str:
    """A stretch of numbers: mostly one row, at times several."""
    first = rng.randrange(table.keys)
    return f"generate_series({first}, {first + rng.choice((0, 0, 0, 2, 9))}) g"


def salt(rng: random.Random) -> int:
    return rng.randint(1, 9999)


def some(rng: random.Random, columns: list[Column]) -> list[Column]:
    return rng.sample(columns, rng.randint(1, min(3, len(columns))))


def insert_into(table: Table, columns: list[Column], s: int, rows: str) -> str:
    names = [name for name, _, _ in table.key] + [c.name for c in columns]
    values = ([table.key_values()] if table.key else []) + [c.value(s) for c in columns]
    return f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(values)} FROM {rows}"


def assignments(columns: list[Column], s: int) -> str:
    return ", ".join(f"{c.name} = {c.value(s)}" for c in columns)


def where_key(table: Table, g: str = "g") -> str:
    return f"({', '.join(f'{table.name}.{name}' for name, _, _ in table.key)}) = ({table.key_values(g)})"


def insert(rng, table) -> Step:
    sql = insert_into(table, table.columns, salt(rng), span(rng, table))
    return Step([sql + (" ON CONFLICT DO NOTHING" if table.key else "")])


def insert_some_columns(rng, table) -> Step:
    sql = insert_into(table, some(rng, table.columns), salt(rng), span(rng, table))
    return Step([sql + (" ON CONFLICT DO NOTHING" if table.key else "")])


def upsert(rng, table) -> Step:
    if not table.key:
        return insert(rng, table)
    changed = ", ".join(f"{c.name} = excluded.{c.name}" for c in some(rng, table.columns))
    return Step([insert_into(table, table.columns, salt(rng), span(rng, table)) +
                 f" ON CONFLICT ({table.key_names()}) DO UPDATE SET {changed}"])


def update(rng, table) -> Step:
    """Mostly leaves a large value as it is."""
    columns = some(rng, table.columns)
    if not table.key:
        return Step([f"UPDATE {table.name} SET {columns[0].name} = NULL WHERE ctid IN (SELECT ctid FROM {table.name} LIMIT 3)"])
    return Step([f"UPDATE {table.name} SET {assignments(columns, salt(rng))} FROM {span(rng, table)} WHERE {where_key(table)}"])


def update_twice(rng, table) -> Step:
    """The same rows by two statements: one leaves untouched what the other changes."""
    if not table.key:
        return insert(rng, table)
    rows = span(rng, table)
    return Step([f"UPDATE {table.name} SET {assignments(some(rng, table.columns), salt(rng))} FROM {rows} WHERE {where_key(table)}"
                 for _ in range(2)])


def change_key(rng, table) -> Step:
    if not table.key:
        return insert(rng, table)
    old, new = rng.randrange(table.keys), rng.randrange(table.keys)
    columns = some(rng, table.columns) if rng.random() < 0.3 else []
    sets = [f"({table.key_names()}) = ROW({table.key_values(str(new))})", assignments(columns, salt(rng))]
    return Step([f"UPDATE {table.name} SET {', '.join(filter(None, sets))} FROM (SELECT {old} AS g) g WHERE {where_key(table)}"],
                risky=True)


def swap_keys(rng, table) -> Step:
    """Two rows change places by way of a third key."""
    if not table.key:
        return insert(rng, table)
    a, b = rng.sample(range(table.keys), 2)
    aside = table.keys * 7 + 1

    def move(old: int, new: int) -> str:
        return f"UPDATE {table.name} SET ({table.key_names()}) = ROW({table.key_values(str(new))}) WHERE {where_key(table, str(old))}"
    return Step([move(a, aside), move(b, a), move(aside, b)], risky=True)


def delete(rng, table) -> Step:
    if not table.key:
        return Step([f"DELETE FROM {table.name} WHERE ctid IN (SELECT ctid FROM {table.name} LIMIT {rng.randint(1, 3)})"])
    return Step([f"DELETE FROM {table.name} USING {span(rng, table)} WHERE {where_key(table)}"])


def delete_and_insert(rng, table) -> Step:
    """Gone and there again in one transaction, with nothing of the old row."""
    if not table.key:
        return insert(rng, table)
    rows = span(rng, table)
    return Step([f"DELETE FROM {table.name} USING {rows} WHERE {where_key(table)}",
                 insert_into(table, some(rng, table.columns), salt(rng), rows) + " ON CONFLICT DO NOTHING"])


def truncate(rng, table) -> Step:
    if table.append_only and table.widens:
        return insert(rng, table)
    statements = [f"TRUNCATE {table.name}"]
    table.truncated = True
    if rng.random() < 0.5:
        statements += insert(rng, table).statements
    return Step(statements)


def large(rng, table) -> Step:
    """Beyond what PostgreSQL decodes in memory; some rows go at once."""
    light = [c for c in table.columns if not c.kind.large]
    count = rng.choice((1500, 4000))
    rows = f"generate_series({FAR}, {FAR + count}) g"
    sql = insert_into(table, light, salt(rng), rows) + (" ON CONFLICT DO NOTHING" if table.key else "")
    if not table.key:
        return Step([sql])
    kept = FAR + rng.randrange(count)
    return Step([sql, f"UPDATE {table.name} SET {assignments(some(rng, light), salt(rng))} FROM {rows} WHERE {where_key(table)} "
                      f"AND g % 3 = 0",
                 f"DELETE FROM {table.name} USING generate_series({kept}, {FAR + count}) g WHERE {where_key(table)}"])


def add_column(rng, table) -> Step:
    """Nullable, without a default; used at once."""
    if table.append_only and not table.widens:
        return insert(rng, table)
    column = Column(f"x{next(table.numbers)}", KINDS[rng.choice([name for name in KINDS if name != "tenant"])], rng.choice((0, 5)))
    statements = [f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.kind.type}"]
    if column.kind.large:
        statements.append(f"ALTER TABLE {table.name} ALTER {column.name} SET STORAGE EXTERNAL")
    if table.append_only:
        statements.append(f"ALTER TABLE shadow.{table.name} ADD COLUMN {column.name} {column.kind.type}")
    elif table.key and rng.random() < 0.7:
        statements.append(f"UPDATE {table.name} SET {column.name} = {column.value(salt(rng))} FROM {span(rng, table)} "
                          f"WHERE {where_key(table)}")
    table.widened = True
    return Step(statements, added=[(table, column)])


def fill_column(rng, table) -> Step:
    """Added with a default, which earlier rows have, too: no message tells that, so the table is copied again."""
    if table.append_only:
        return insert(rng, table)
    column = Column(f"x{next(table.numbers)}", KINDS[rng.choice(("count", "code", "token"))])
    default = {"count": "41", "code": "'given'", "token": "gen_random_uuid()"}[next(k for k in KINDS if KINDS[k] is column.kind)]
    table.refilled = True
    return Step([f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.kind.type} DEFAULT {default}"], added=[(table, column)])


def retype(rng, table) -> Step:
    """To a type that shows its values the same way; the table is rewritten and copied again."""
    columns = [c for c in table.columns if c.kind.type in RETYPED]
    if table.append_only or not columns:
        return insert(rng, table)
    column = rng.choice(columns)
    table.refilled = True
    return Step([f"ALTER TABLE {table.name} ALTER COLUMN {column.name} TYPE {RETYPED[column.kind.type]}"])


RETYPED = {"smallint": "int", "int": "bigint", "varchar(40)": "varchar(35)"}

STEPS = [
    (18, insert), (6, insert_some_columns), (14, upsert), (22, update), (5, update_twice), (8, change_key), (3, swap_keys),
    (10, delete), (4, delete_and_insert), (1, truncate), (1, large), (1, add_column), (0.25, fill_column), (0.25, retype),
]


def random_step(rng: random.Random, tables: list[Table], calm: bool) -> Step:
    """`calm`: while a table without a key is copied, its rows must not go: nobody would tell."""
    table = rng.choice(tables)
    operations = STEPS
    if calm and table.append_only:
        operations = [entry for entry in STEPS if entry[1] not in (update, delete)]
    make = rng.choices([generator for _, generator in operations], [weight for weight, _ in operations])[0]
    return make(rng, table)
