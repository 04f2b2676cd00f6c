"""The fields and attributes that a put (PutItems, PutUsers) sets of an item or a user.

The tracker reads a put with these functions before it accepts it, and sync when it merges it, so that neither
refuses what the other accepts. The bounds are those of `values`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import orjson

from shared.errors import Permanent
from shared.events import values
from shared.events.field_aliases import field_of

MOST_PROPERTIES = 1_000
"""Attributes of one item or user: ten times the columns of an items dataset of Amazon Personalize."""

MOST_PROPERTY_BYTES = 100_000
"""Bytes of one field or attribute as JSON; Amazon Personalize allows 20,000 characters of up to 4 bytes."""

MOST_SHOWN = 60
"""Characters of a refused value in an error message; arbitrary."""


def item_fields(properties: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the attributes that a put of an item sets.

    Raises Permanent, with name and value, if a value is invalid for its field.
    """
    return _fields_and_attributes(properties, "item")


def user_fields(properties: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the attributes that a put of a user sets; raises Permanent as for items."""
    return _fields_and_attributes(properties, "user")


def _fields_and_attributes(
    properties: Mapping[str, Any], kind: Literal["item", "user"]
) -> tuple[dict[str, Any], dict[str, Any]]:
    check_sizes(properties)
    fields: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, value in properties.items():
        field = field_of(kind, name)
        if field is None:
            attributes[name] = value
        elif value is not None or field != "available":  # availability is never unknown
            fields[field] = field_value(field, value, name)
    return fields, attributes


def field_value(field: str, value: Any, name: str) -> Any:
    """Return a JSON value as the value of a field of the shop's state; None stays None.

    Raises Permanent, with the sender's `name` of the field, if the value is invalid for the field.
    """
    return None if value is None else _CONVERTERS[field](value, name)


def check_sizes(properties: Mapping[str, Any]) -> None:
    """Raise Permanent if a put has more than `MOST_PROPERTIES`, or one of more than `MOST_PROPERTY_BYTES`."""
    if len(properties) > MOST_PROPERTIES:
        raise Permanent(f"{len(properties):,} properties in one put; {MOST_PROPERTIES:,} are allowed")
    for name, value in properties.items():
        _check_size(name, value)


def _check_size(name: str, value: Any) -> None:
    size = len(orjson.dumps(name)) + len(orjson.dumps(value)) + 2
    if size > MOST_PROPERTY_BYTES:
        raise Permanent(f"{name[:MOST_SHOWN]!r} has {size:,} bytes; {MOST_PROPERTY_BYTES:,} are allowed")


def _refused(name: str, value: Any, why: str) -> Permanent:
    shown = repr(value)
    shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"
    return Permanent(f"{name} is {shown}, which is {why}")


def _text(value: Any, name: str) -> str | None:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value).strip() or None
    raise _refused(name, value, "not a text")


def _category(value: Any, name: str) -> str | None:
    """Return one category, or several with bars between them as in a file of Amazon Personalize."""
    if isinstance(value, list):
        return "|".join(text for entry in value if (text := _text(entry, name))) or None
    return _text(value, name)


def _price(value: Any, name: str) -> float:
    try:
        price = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        raise _refused(name, value, "not a number") from None
    except OverflowError:
        price = float("inf")
    if not values.is_usable(price):
        raise _refused(name, value, f"not a number from -{values.LARGEST:g} to {values.LARGEST:g}")
    return price


def _boolean(value: Any, name: str) -> bool:
    if isinstance(value, str) and value.strip().lower() in {"true", "false", "yes", "no"}:
        return value.strip().lower() in {"true", "yes"}
    if value in (0, 1):
        return bool(value)
    raise _refused(name, value, "neither true nor false")


def _instant(value: Any, name: str) -> datetime:
    """Return a time in UTC, from ISO 8601 or from seconds since 1970 as a number or text."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return values.instant_of_epoch(value)
        return values.instant(datetime.fromisoformat(value))
    except (TypeError, ValueError) as error:
        if (seconds := _seconds(value)) is not None:
            return _instant(seconds, name)
        raise _refused(
            name, value, f"not a time between the years {values.EARLIEST.year} and {values.LATEST.year}"
        ) from error


def _seconds(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


_CONVERTERS: dict[str, Callable[[Any, str], Any]] = {
    "price": _price,
    "available": _boolean,
    "created_at": _instant,
    "category": _category,
    **dict.fromkeys(("name", "currency", "city", "province", "country"), _text),
}
