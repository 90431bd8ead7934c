"""What keeps a statement from running on Spark, and where it stands."""

from __future__ import annotations

import sqlglot
from sqlglot import exp


class Refusal(Exception):
    """`node`: the part of the statement that is refused, None when it is not known; `line`, `column`: in the file, from 1."""

    def __init__(self, message: str, node: exp.Expression | None = None, line: int = 0, column: int = 0):
        super().__init__(message)
        self.message, self.node, self.line, self.column = message, node, line, column
        self.file = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " if self.file else ""
        return place + self.message


def _own_place(node: exp.Expression) -> tuple[int, int] | None:
    """The parser notes the last line and the last column of names and literals."""
    if "line" not in node.meta:
        return None
    return node.meta["line"], max(1, node.meta["col"] - (node.meta["end"] - node.meta["start"]))


def place_of(node: exp.Expression | None) -> tuple[int, int]:
    """Of the first name or literal within it, or of what it is within; (1, 1) when none is known."""
    while node is not None:
        places = [place for part in node.walk() if (place := _own_place(part))]
        if places:
            return min(places)
        node = node.parent
    return 1, 1


def _start(token) -> tuple[int, int]:
    """The tokenizer notes the last column."""
    return token.line, token.col - (token.end - token.start)


def note_place(refusal: Refusal, sql: str) -> None:
    """Fills `line` and `column` in. Of a function that is where its name stands, which the parser does not note."""
    refusal.line, refusal.column = place_of(refusal.node)
    if not isinstance(refusal.node, exp.Func) or isinstance(refusal.node, exp.Anonymous):
        return
    names = {name.lower() for name in refusal.node.sql_names()}
    depth = 0
    tokens = [token for token in sqlglot.tokenize(sql, read="duckdb") if _start(token) < (refusal.line, refusal.column)]
    for name, token in reversed(list(zip(tokens, tokens[1:]))):
        depth += {")": 1, "(": -1}.get(token.text, 0)
        if token.text == "(" and depth < 0:
            depth = 0
            if name.text.lower() in names:
                refusal.line, refusal.column = _start(name)
                return


def located(refusal: Refusal, file: str, line: int = 1, column: int = 1) -> Refusal:
    """`line`, `column`: where the statement begins in the file."""
    at = (refusal.line, refusal.column) if refusal.line else place_of(refusal.node)
    refusal.file = file
    refusal.line, refusal.column = line + at[0] - 1, at[1] + (column - 1 if at[0] == 1 else 0)
    refusal.node = None
    return refusal
