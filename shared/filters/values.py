"""The values of a filter's parameters in `filterValues` of a request."""

from __future__ import annotations

import math
import re

from shared.filters.errors import FilterError

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
_PART = re.compile(r'\s*(?:"((?:\\.|[^"\\])*)"|([+-]?[\d.][^\s,]*))\s*(,|$)', re.DOTALL)
_SINGLE_QUOTED = re.compile(r"\s*'([^']*)'\s*(,|$)")


def parse(name: str, text: str) -> tuple[str, ...]:
    """Return the values of one parameter: `"a","b"`, one unquoted value, or numbers; none for blank text.

    Raises FilterError for a malformed list.
    """
    bare = text.strip()
    if not bare:
        return ()
    if bare.startswith('"'):
        return _quoted(name, bare)
    if bare.startswith("'") and (listed := _single_quoted(bare)):
        return listed
    parts = bare.split(",")
    if len(parts) > 1 and all(is_number(part) for part in parts):
        return tuple(part.strip() for part in parts)
    return (bare,)


def is_number(text: str) -> bool:
    """Return whether the text is a finite number."""
    return bool(_NUMBER.fullmatch(text)) and math.isfinite(float(text))


def unescaped(quoted: str) -> str:
    r"""Return the text between double quotes with `\"` and `\\` unescaped."""
    return re.sub(r"\\([\"'\\])", r"\1", quoted)


def _quoted(name: str, text: str) -> tuple[str, ...]:
    parts: list[str] = []
    position = 0
    while position < len(text) or not parts:
        part = _PART.match(text, position)
        if part is None or (part[3] == "," and part.end() == len(text)):
            at = position if part is None else part.end()
            raise FilterError(
                f"The value of the filter parameter {name} is not a list of quoted values from character "
                f'{at + 1} on: {text[at : at + 40]!r}. Write it as "first","second".'
            )
        parts.append(unescaped(part[1]) if part[1] is not None else part[2])
        position = part.end()
    return tuple(parts)


def _single_quoted(text: str) -> tuple[str, ...]:
    """Return the values of a list in single quotes; an empty tuple for any other text."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        part = _SINGLE_QUOTED.match(text, position)
        if part is None or (part[2] == "," and part.end() == len(text)):
            return ()
        parts.append(part[1])
        position = part.end()
    return tuple(parts)
