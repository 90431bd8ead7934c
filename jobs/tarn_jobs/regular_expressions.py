"""Patterns of RE2, which DuckDB has, as patterns of Java that find the same in the same texts.

Java's `$` also matches before a last line end, its `\\s` knows one character more, its `.` leaves out five characters and
not one. What is not translated here is refused: possessive and lazy quantifiers mean the same and stay.
"""

from __future__ import annotations

import re

SPACES = "\\t\\n\\f\\r "
# After a backslash, the same in both, outside of brackets and inside.
SAME = set(".*+?()[]{}|^$\\/-'\"@#%&!,:;<>=~` ") | set("dDwntrf")
POSIX = {name: f"\\p{{{name.capitalize()}}}" for name in
         ("alpha", "digit", "alnum", "upper", "lower", "punct", "cntrl", "graph", "print", "blank")} | {"xdigit": "\\p{XDigit}"}


class UnknownPattern(ValueError):
    """Says what of the pattern is not known to be the same."""


def _escape(pattern: str, at: int, in_class: bool) -> str:
    if at + 1 >= len(pattern):
        raise UnknownPattern("a backslash at its end")
    char = pattern[at + 1]
    if char == "s":
        return SPACES if in_class else f"[{SPACES}]"
    if char == "S" and not in_class:
        return f"[^{SPACES}]"
    if char == "W" and not in_class:
        return "\\W"
    if char in ("z", "A") and not in_class:
        return "\\" + char
    if char in SAME:
        return "\\" + char
    raise UnknownPattern(f"'\\{char}'")


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """The class that begins at `at`, and where it ends."""
    out, i = "[", at + 1
    if pattern[i:i + 1] == "^":
        out, i = out + "^", i + 1
    first = True
    while i < len(pattern):
        char = pattern[i]
        if char == "]" and not first:
            return out + "]", i + 1
        first = False
        if posix := re.match(r"\[:(\w+):\]", pattern[i:]):
            if posix[1] not in POSIX:
                raise UnknownPattern(f"'{posix[0]}'")
            out, i = out + POSIX[posix[1]], i + posix.end()
        elif char == "\\":
            out, i = out + _escape(pattern, i, True), i + 2
        else:
            # Java nests classes and cuts them with each other.
            out, i = out + ("\\" + char if char in "[]&" else char), i + 1
    raise UnknownPattern("a '[' without its ']'")


def to_java(pattern: str) -> str:
    """Errors: UnknownPattern."""
    out, i = "", 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\":
            out, i = out + _escape(pattern, i, False), i + 2
        elif char == "[":
            part, i = _bracket(pattern, i)
            out += part
        elif char == "$":
            out, i = out + "\\z", i + 1
        elif char == ".":
            out, i = out + "[^\\n]", i + 1
        elif pattern.startswith("(?", i):
            if not pattern.startswith("(?:", i):
                raise UnknownPattern(f"'{pattern[i:i + 3]}'")
            out, i = out + "(?:", i + 3
        else:
            out, i = out + char, i + 1
    return out


def to_java_replacement(text: str) -> str:
    """RE2's `\\1` is Java's `$1`. Errors: UnknownPattern."""
    out, i = "", 0
    while i < len(text):
        if text[i] == "\\" and text[i + 1:i + 2].isdigit():
            # `$1` followed by a digit would be another group.
            if text[i + 2:i + 3].isdigit():
                raise UnknownPattern(f"'{text[i:i + 3]}' (a digit behind a group)")
            out, i = out + "$" + text[i + 1], i + 2
        elif text[i] == "\\" and text[i + 1:i + 2] != "\\":
            raise UnknownPattern("a backslash in the replacement")
        elif text[i] == "\\":
            out, i = out + "\\\\", i + 2
        else:
            out, i = out + ("\\$" if text[i] == "$" else text[i]), i + 1
    return out
