"""Properties of an item or a user: fields and attributes of their state in sync, flat, by normalized name.

Encoded properties are JSON: fields by name, attributes by normalized name, without missing values. A column
is looked up among the attributes first (what was put as a column of the dataset), then as the field that its
name stands for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

import orjson

from shared.events.field_aliases import columns_of_fields, field_of, normalized_name

EntityKind = Literal["item", "user"]
PropertyValue = str | float


def encode_properties(fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> bytes:
    """Return the properties as JSON; b"" if there are none."""
    properties = flat_properties(fields, attributes)
    return orjson.dumps(properties) if properties else b""


def decode_properties(encoded: bytes) -> dict[str, PropertyValue]:
    """Return the properties by key, from the output of `encode_properties`."""
    properties: dict[str, PropertyValue] = orjson.loads(encoded) if encoded else {}
    return properties


def flat_properties(fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, PropertyValue]:
    """Return the properties by key; an attribute overrides a field of the same name."""
    properties: dict[str, PropertyValue] = {}
    for source in (fields, {normalized_name(name): value for name, value in attributes.items()}):
        for name, value in source.items():
            if (cell := _cell(value)) is not None:
                properties[name] = cell
    return properties


def property_keys(kind: EntityKind, column: str) -> tuple[str, ...]:
    """Return the keys under which the value of a column may be stored, in order of precedence."""
    name, field = normalized_name(column), field_of(kind, column)
    return (name,) if field is None or field == name else (name, field)


def property_value(
    properties: Mapping[str, PropertyValue], kind: EntityKind, column: str
) -> PropertyValue | None:
    """Return the value of a column; None if there is none."""
    return next((properties[key] for key in property_keys(kind, column) if key in properties), None)


def matching_column(kind: EntityKind, name: str, columns: Collection[str]) -> str | None:
    """Return the column that a name refers to: that of the same name, else of the same field, else None."""
    key = normalized_name(name)
    same_name = next((column for column in columns if normalized_name(column) == key), None)
    field = field_of(kind, name)
    return same_name if same_name or field is None else columns_of_fields(kind, columns).get(field)


def _cell(value: Any) -> PropertyValue | None:
    """Return a value as a CSV file holds it: lists joined by `|`, times in seconds since the epoch."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, list | tuple):
        return "|".join(str(element) for element in value) or None
    if isinstance(value, Mapping):
        return None
    return str(value) or None if value is not None else None
