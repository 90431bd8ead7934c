"""Whether a value that Silver gives as text is the source's value: the source itself reads it and compares."""

from __future__ import annotations

from .cluster import Database
from .tarn import Tarn

# Of a session whose texts are what tarn's are.
PLAIN = ("TimeZone = 'UTC'", "DateStyle = 'ISO, YMD'", "IntervalStyle = 'postgres'", "extra_float_digits = 3", "bytea_output = 'hex'")


def as_texts(tarn: Tarn, table: str, columns: list[str]) -> str:
    """Every column of Silver as the text that its type of PostgreSQL reads."""
    kinds = {row["column_name"]: row["column_type"] for row in
             tarn.query(f"SELECT column_name, column_type FROM (DESCRIBE {table})")}

    def text(name: str) -> str:
        value = f"'\\x' || lower(hex(\"{name}\"))" if kinds[name] == "BLOB" else f'CAST("{name}" AS VARCHAR)'
        return f'{value} AS "{name}"'
    return ", ".join(map(text, columns))


def differences(tarn: Tarn, source: Database, table: str, types: dict[str, str], ids: set[int], others: list[str]) -> list[tuple]:
    """Of the rows with these ids, which Silver must have and no others: type, id, Silver's text and the source's wherever
    Silver's text, cast back in the source, is not what is stored there. `types`: of columns; `others`: compared as they are."""
    silver = tarn.query(f"SELECT id, {as_texts(tarn, table, [*others, *types])} FROM {table}")
    assert sorted(row["id"] for row in silver) == sorted(ids)
    names = ["id", *others, *types]
    # What is stored is compared, but: every NaN is one value, and xml's own output drops the declared encoding.
    special = {"real": "r.{0} = t.{0} AND r.{0}::text = t.{0}::text", "xml": "format('%s', r.{0}) = format('%s', t.{0})"}
    special["double precision"] = special["real"]
    wrong = []
    with source.connect() as connection:
        for setting in PLAIN:
            connection.execute(f"SET {setting}")
        connection.execute(f"CREATE TEMP TABLE returned AS SELECT * FROM {table} WITH NO DATA")
        with connection.cursor().copy(f"COPY returned ({', '.join(names)}) FROM STDIN") as copy:
            for row in silver:
                copy.write_row([row[name] for name in names])
        assert connection.execute("SELECT count(*) FROM returned JOIN " + table + " USING (id)").fetchone() == (len(ids),)
        for column, kind in [*types.items(), *((name, "") for name in others)]:
            same = special.get(kind, "record_image_eq(ROW(r.{0}), ROW(t.{0}))").format(column)
            wrong += [(kind or column, *row) for row in connection.execute(
                f"SELECT id, left(format('%s', r.{column}), 200), left(format('%s', t.{column}), 200) FROM returned r "
                f"JOIN {table} t USING (id) WHERE num_nulls(r.{column}) <> num_nulls(t.{column}) OR "
                f"num_nulls(t.{column}) = 0 AND NOT ({same})").fetchall()]
    return wrong
