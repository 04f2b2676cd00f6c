"""What the shop says of an item or a user, kept as few bytes and read by any spelling of a column's name.

The bytes are JSON: fields by their names, attributes by their folded ones. Missing values are left out. A
column is looked for among the attributes first (what was put as a column of the dataset), then as the field
that its name means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

import orjson

from shared.events.spellings import columns_of_fields, field_of, folded

Kind = Literal["item", "user"]
Value = str | float


def packed(fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> bytes:
    """The facts as bytes; none for nothing."""
    facts = plain(fields, attributes)
    return orjson.dumps(facts) if facts else b""


def plain(fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Value]:
    """Return the facts by their keys. An attribute comes before a field of the same name."""
    facts: dict[str, Value] = {}
    for named in (fields, {folded(name): value for name, value in attributes.items()}):
        for name, value in named.items():
            if (cell := _plain(value)) is not None:
                facts[name] = cell
    return facts


def unpacked(facts: bytes) -> dict[str, Value]:
    """The facts by their keys."""
    found: dict[str, Value] = orjson.loads(facts) if facts else {}
    return found


def keys_of(kind: Kind, column: str) -> tuple[str, ...]:
    """Return the keys under which a column's fact may be kept, the first that has one counts."""
    name, field = folded(column), field_of(kind, column)
    return (name,) if field is None or field == name else (name, field)


def fact(facts: Mapping[str, Value], kind: Kind, column: str) -> Value | None:
    """Return a column's fact; None where there is none."""
    return next((facts[key] for key in keys_of(kind, column) if key in facts), None)


def spelled(kind: Kind, name: str, columns: Collection[str]) -> str | None:
    """Return the one of some columns that a name means: the one that it names, else one of the same field."""
    key = folded(name)
    named = next((column for column in columns if folded(column) == key), None)
    field = field_of(kind, name)
    return named if named or field is None else columns_of_fields(kind, columns).get(field)


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
