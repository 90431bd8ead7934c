"""Random tables. A row is made of one number, `g`: keys and values are SQL expressions of it, so that a statement of any size is
one line and the seed alone says what it does."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A type with its values: `{g}` is the row's number, `{salt}` differs between statements, `{c}` is the column."""
    type: str
    value: str
    text: str = "{c}::text"           # What the value is compared by, on the source
    lake: str = "CAST({c} AS VARCHAR)"  # and in the lake.
    good: str = ""                    # False for values that no lake type holds: such a row stands in quarantine.
    large: bool = False               # Goes to TOAST.


MIX = "md5(({g})::text || '/{salt}')"
MANY = "(SELECT string_agg(md5(({g})::text || '/{salt}/' || i), '') FROM generate_series(1, 70 + (({g} + {salt}) % 50)::int) i)"

KINDS = {
    "small": Kind("smallint", "(({g} * 31 + {salt}) % 30000)::smallint"),
    "count": Kind("int", "(({g} * 7919 + {salt}) % 100000)::int"),
    "big": Kind("bigint", "(({g})::bigint * 1000003 * {salt} - 5000000000)"),
    "name": Kind("text", f"substr({MIX}, 1, 6) || E' ü,:\\'\"\\\\{{salt}}'"),
    "code": Kind("varchar(40)", MIX),
    "body": Kind("text", MANY, large=True),
    "document": Kind("jsonb", f"jsonb_build_object('g', {{g}}, 'list', ARRAY[{{salt}}, NULL], 'text', {MANY})", large=True),
    "settings": Kind("jsonb", "jsonb_build_object('a', {salt}, 'ü', ({g})::text, 'none', NULL)"),
    "price": Kind("numeric(12,2)", "((({g} * {salt}) % 100000000) / 100.0)::numeric(12,2)"),
    "ratio": Kind("numeric(9,4)", "CASE WHEN ({g} + {salt}) % 23 = 0 THEN 'NaN' ELSE (({g} * {salt}) % 100000) / 7.0 END",
                  good="({c} IS NULL OR {c} <> 'NaN')"),
    "exact": Kind("numeric", "(({g})::numeric * {salt} / 7)"),
    "at": Kind("timestamptz", "'2024-02-28 23:59:59.123456+00'::timestamptz + (({g} * {salt}) % 1000000) * interval '61.000007 seconds'",
               text="(extract(epoch FROM {c}) * 1000000)::bigint::text", lake="CAST(epoch_us({c}) AS VARCHAR)"),
    "until": Kind("timestamptz", "CASE WHEN ({g} + {salt}) % 19 = 0 THEN 'infinity' ELSE '2026-01-01+00'::timestamptz + "
                  "(({g} + {salt}) % 400) * interval '1 day' END",
                  text="(extract(epoch FROM {c}) * 1000000)::bigint::text", lake="CAST(epoch_us({c}) AS VARCHAR)",
                  good="({c} IS NULL OR isfinite({c}))"),
    "day": Kind("date", "('2023-12-25'::date + (({g} + {salt}) % 800)::int)"),
    "tags": Kind("text[]", f"ARRAY[{MIX}, NULL, 'a,b', '{{{{}}}}', '']"),
    "numbers": Kind("int[]", "ARRAY[({g})::int, {salt}, NULL]"),
    "mood": Kind("mood", "(ARRAY['sad', 'ok', 'happy, very'])[1 + ({g} + {salt}) % 3]::mood"),
    "flag": Kind("boolean", "(({g} + {salt}) % 2 = 0)"),
    "token": Kind("uuid", f"{MIX}::uuid"),
    "bytes": Kind("bytea", f"decode({MIX}, 'hex')", text="encode({c}, 'hex')", lake="lower(hex({c}))"),
    "blob": Kind("bytea", f"decode({MANY}, 'hex')", text="encode({c}, 'hex')", lake="lower(hex({c}))", large=True),
    "tenant": Kind("int", "(({g} + {salt}) % 4 + 1)::int"),
}
ORDINARY = [name for name in KINDS if name != "tenant"]

# Key columns: (name, type, expression of {g}); different numbers give different keys.
KEYS = [
    [("id", "int", "({g})::int")],
    [("id", "bigint", "({g})::bigint * 1000000007")],
    [("id", "text", "'k' || ({g}) || ',:ü'")],
    [("id", "uuid", "md5('key' || ({g}))::uuid")],
    [("region", "int", "(({g}) % 4)::int"), ("day", "date", "'2024-01-01'::date + (({g}) / 4)::int")],
    [("shop", "text", "'s' || (({g}) % 5)"), ("number", "bigint", "(({g}) / 5)::bigint")],
]
TENANT_KEY = [("tenant_id", "int", "(({g}) % 3 + 1)::int"), ("id", "int", "(({g}) / 3)::int")]
KEY_KINDS = {"int": "count", "bigint": "big", "text": "name", "uuid": "token", "date": "day"}


@dataclass
class Column:
    name: str
    kind: Kind
    null_every: int = 0  # Every so many values NULL; 0: none.
    lake: str = ""       # Its name there, which a rename leaves.

    def __post_init__(self):
        self.lake = self.lake or self.name

    def value(self, salt: int, g: str = "g") -> str:
        value = self.kind.value.format(g=g, salt=salt)
        return f"CASE WHEN ({g} + {salt}) % {self.null_every} = 0 THEN NULL ELSE {value} END" if self.null_every else value


@dataclass
class Table:
    name: str
    key: list[tuple[str, str, str]]
    columns: list[Column]
    full: bool = False  # REPLICA IDENTITY FULL, with a key or without.
    keys: int = 60      # Numbers of the rows that meet each other.
    numbers: Iterator[int] = field(default_factory=itertools.count)  # Of added columns.
    widens: bool = False  # An append-only table is widened or truncated: both together may have it copied again, without what is gone.
    truncated: bool = False  # At some time, perhaps in a transaction that was taken back.
    widened: bool = False
    refilled: bool = False

    @property
    def append_only(self) -> bool:
        return not self.key and not self.full

    def key_names(self) -> str:
        return ", ".join(name for name, _, _ in self.key)

    def key_values(self, g: str = "g") -> str:
        return ", ".join(value.format(g=g) for _, _, value in self.key)

    def ddl(self) -> str:
        parts = [f"{name} {type}" for name, type, _ in self.key] + [f"{c.name} {c.kind.type}" for c in self.columns]
        if self.key:
            parts.append(f"PRIMARY KEY ({self.key_names()})")
        sql = f"CREATE TABLE {self.name} ({', '.join(parts)});\n"
        for column in self.columns:
            if column.kind.large:
                sql += f"ALTER TABLE {self.name} ALTER {column.name} SET STORAGE EXTERNAL;\n"
        if self.full:
            sql += f"ALTER TABLE {self.name} REPLICA IDENTITY FULL;\n"
        if self.append_only:
            # Updates and deletes of such a table are not followed: what was inserted since the last TRUNCATE is what Silver has.
            sql += (f"CREATE TABLE shadow.{self.name} (LIKE {self.name});\n"
                    f"CREATE FUNCTION shadow.keep_{self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                    f"IF TG_OP = 'TRUNCATE' THEN TRUNCATE shadow.{self.name}; "
                    f"ELSE INSERT INTO shadow.{self.name} SELECT NEW.*; END IF; RETURN NULL; END $$;\n"
                    f"CREATE TRIGGER keep AFTER INSERT ON {self.name} FOR EACH ROW EXECUTE FUNCTION shadow.keep_{self.name}();\n"
                    f"CREATE TRIGGER cut AFTER TRUNCATE ON {self.name} EXECUTE FUNCTION shadow.keep_{self.name}();\n")
        return sql

    def compared(self) -> list[Column]:
        """All columns of now, the key's too."""
        return [Column(name, KINDS[KEY_KINDS[type]]) for name, type, _ in self.key] + list(self.columns)


def source_rows(table: Table, columns: list[Column]) -> str:
    """A digest of each row that Silver has to hold, on the source."""
    texts = ", ".join(f"coalesce({c.kind.text.format(c=c.name)}, '~')" for c in columns)
    good = " AND ".join(c.kind.good.format(c=c.name) for c in columns if c.kind.good) or "true"
    schema = "shadow" if table.append_only else "public"
    return f"SELECT '{table.name}' AS t, md5(concat_ws('|', {texts})) AS m FROM {schema}.{table.name} WHERE {good}"


def lake_rows(table: Table, columns: list[Column], known: set[str]) -> str:
    """`known`: the columns that the lake has. It learns of an added one by the first change behind it; until then all is NULL."""
    texts = ", ".join(f"coalesce({c.kind.lake.format(c=c.lake)}, '~')" if c.lake in known else "'~'" for c in columns)
    return f"SELECT '{table.name}' AS t, md5(concat_ws('|', {texts})) AS m FROM silver.{table.name}"


def random_table(rng: random.Random, name: str, form: str, tenants: bool) -> Table:
    has_key = form not in ("append", "whole")
    kinds = rng.sample(ORDINARY, rng.randint(3, 8))
    if form != "append" and not any(KINDS[kind].large for kind in kinds):
        kinds.append(rng.choice(("body", "document", "blob")))
    columns = [Column(f"{kind}_{i}", KINDS[kind], rng.choice((0, 5, 11))) for i, kind in enumerate(kinds)]
    key = rng.choice(KEYS) if has_key else []
    if tenants and rng.random() < 0.6:
        if has_key and rng.random() < 0.4:
            key = TENANT_KEY
        else:
            columns.append(Column("tenant_id", KINDS["tenant"], rng.choice((0, 0, 13))))
    return Table(name, key, columns, full=form in ("full", "whole"), keys=rng.choice((20, 60, 200)), widens=rng.random() < 0.5)


def random_tables(rng: random.Random, tenants: bool) -> list[Table]:
    forms = ["keyed"] + rng.sample(["keyed", "append", "full", "whole", "keyed"], rng.randint(1, 4))
    return [random_table(rng, f"t{i}_{form}", form, tenants) for i, form in enumerate(forms)]
