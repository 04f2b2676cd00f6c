"""What the shop says of an item or a user, kept as few bytes and read by any spelling of a column's name.

The bytes are JSON: fields by their names, attributes by their folded ones. Missing values are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import orjson

from shared.events.spellings import field_of, folded

Kind = Literal["item", "user"]
Value = str | float


def packed(kind: Kind, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> bytes:
    """The facts as bytes; none for nothing."""
    facts = plain(kind, fields, attributes)
    return orjson.dumps(facts) if facts else b""


def plain(kind: Kind, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Value]:
    """Return the facts by their keys. What a field says wins over an attribute of its name."""
    facts: dict[str, Value] = {}
    for name, value in attributes.items():
        if (cell := _plain(value)) is not None:
            facts[key_of(kind, name)] = cell
    for name, value in fields.items():
        if (cell := _plain(value)) is not None:
            facts[name] = cell
    return facts


def unpacked(facts: bytes) -> dict[str, Value]:
    """The facts by their keys."""
    found: dict[str, Value] = orjson.loads(facts) if facts else {}
    return found


def key_of(kind: Kind, column: str) -> str:
    """What a column's fact is kept by: CATEGORY_L1 and category are one."""
    return field_of(kind, column) or folded(column)


def spelled(kind: Kind, name: str, columns: Iterable[str]) -> str | None:
    """The one of some columns that a name means."""
    key = key_of(kind, name)
    return next((column for column in columns if key_of(kind, column) == key), None)


def _plain(value: Any) -> Value | None:
    """As a cell of a CSV file holds it: several values are joined by `|`, times are epoch seconds."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, list | tuple):
        return "|".join(str(one) for one in value) or None
    if isinstance(value, Mapping):
        return None
    return str(value) or None if value is not None else None
