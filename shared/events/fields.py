"""What a put says of an item or a user: the values of its fields, and attributes.

The tracker reads a put so before it accepts it, and sync when it merges it: neither can refuse what the other
takes. Bounds are those of `values`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import orjson

from shared.errors import Permanent
from shared.events import values
from shared.events.spellings import field_of

MOST_PROPERTIES = 1_000
"""Attributes of one item or user: ten times the columns of an items dataset of Amazon Personalize."""

MOST_PROPERTY_BYTES = 100_000
"""One field or attribute as JSON; Amazon Personalize takes 20,000 characters, each up to four bytes."""

MOST_SHOWN = 60
"""Characters of a refused value in an error message."""


def item_fields(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the attributes that a put of an item sets.

    Permanent, with the name and the value, when a value can't be its field's.
    """
    return _sorted_out(said, "item")


def user_fields(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the attributes that a put of a user sets; Permanent as for items."""
    return _sorted_out(said, "user")


def _sorted_out(
    said: Mapping[str, Any], kind: Literal["item", "user"]
) -> tuple[dict[str, Any], dict[str, Any]]:
    check_sizes(said)
    fields: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, value in said.items():
        target = field_of(kind, name)
        if target is None:
            attributes[name] = value
        elif value is not None or target != "available":
            # Whether something is available is never unknown.
            fields[target] = field_value(target, value, name)
    return fields, attributes


def field_value(field: str, value: Any, name: str) -> Any:
    """Return a JSON value as that of a field of the shop's state; None stays None.

    Permanent, with the `name` that the sender gave it, when it can't be the field's.
    """
    return None if value is None else _READERS[field](value, name)


def check_sizes(properties: Mapping[str, Any]) -> None:
    """Permanent for more properties than one put may have, or for one that is larger than a state takes."""
    if len(properties) > MOST_PROPERTIES:
        raise Permanent(f"{len(properties):,} properties in one put; {MOST_PROPERTIES:,} are allowed")
    for name, value in properties.items():
        _check_size(name, value)


def _check_size(name: str, value: Any) -> None:
    """Permanent for a property that is larger than a state takes."""
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
    raise _refused(name, value, "no text")


def _category(value: Any, name: str) -> str | None:
    """Several categories stand between bars, as in a file of Amazon Personalize."""
    if isinstance(value, list):
        return "|".join(text for one in value if (text := _text(one, name))) or None
    return _text(value, name)


def _price(value: Any, name: str) -> float:
    try:
        price = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        raise _refused(name, value, "no number") from None
    except OverflowError:
        price = float("inf")
    if not values.is_usable(price):
        raise _refused(name, value, f"no number from -{values.LARGEST:g} to {values.LARGEST:g}")
    return price


def _truth(value: Any, name: str) -> bool:
    if isinstance(value, str) and value.strip().lower() in {"true", "false", "yes", "no"}:
        return value.strip().lower() in {"true", "yes"}
    if value in (0, 1):
        return bool(value)
    raise _refused(name, value, "neither true nor false")


def _instant(value: Any, name: str) -> datetime:
    """Return a time in UTC of ISO 8601, or of seconds since 1970 as a number or as text."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return values.instant_of_epoch(value)
        return values.instant(datetime.fromisoformat(value))
    except (TypeError, ValueError) as error:
        if (seconds := _seconds(value)) is not None:
            return _instant(seconds, name)
        raise _refused(
            name, value, f"no time between the years {values.EARLIEST.year} and {values.LATEST.year}"
        ) from error


def _seconds(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "price": _price,
    "available": _truth,
    "created_at": _instant,
    "category": _category,
    **dict.fromkeys(("name", "currency", "city", "province", "country"), _text),
}
