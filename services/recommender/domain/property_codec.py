"""Properties of items encoded without the names of their columns.

Most items of a shop have the same columns, so each distinct set of names is stored once per tenant: an
encoded item holds the number of its set of names, and its values as a JSON array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from services.recommender.domain.properties import PropertyValue

MAX_NAME_SETS = 200
MAX_NAME_SET_CHARACTERS = 2_000
"""Limits of the sets of names stored per tenant. A shop has a handful of sets; items beyond the limits carry
their own names, so that random names do not outlive their items. Arbitrary."""

_NUMBER_BYTES = 2
_INLINE_NAMES = (0xFFFF).to_bytes(_NUMBER_BYTES, "big")


class PropertyCodec:
    """Encodes the properties of one tenant's items, and holds the sets of names that they share."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}
        self._names: list[tuple[str, ...]] = []

    def encode(self, properties: Mapping[str, PropertyValue]) -> bytes:
        """Return two bytes for the names, then the values as JSON; b"" for no properties."""
        if not properties:
            return b""
        names = tuple(properties)
        number = self._numbers.get(names)
        if number is None:
            if len(self._names) >= MAX_NAME_SETS or sum(map(len, names)) > MAX_NAME_SET_CHARACTERS:
                return _INLINE_NAMES + orjson.dumps(properties)
            number = self._numbers[names] = len(self._names)
            self._names.append(names)
        return number.to_bytes(_NUMBER_BYTES, "big") + orjson.dumps(list(properties.values()))

    def decode(self, encoded: bytes) -> dict[str, PropertyValue]:
        """Return the properties by key, from the output of `encode`."""
        if not encoded:
            return {}
        head, content = encoded[:_NUMBER_BYTES], orjson.loads(encoded[_NUMBER_BYTES:])
        if head == _INLINE_NAMES:
            properties: dict[str, PropertyValue] = content
            return properties
        values: list[Any] = content
        return dict(zip(self._names[int.from_bytes(head, "big")], values, strict=True))

    def value(self, encoded: bytes, keys: tuple[str, ...]) -> PropertyValue | None:
        """Return the value of the first of the keys that the properties have; None if they have none."""
        if not encoded:
            return None
        if encoded[:_NUMBER_BYTES] == _INLINE_NAMES:
            properties = self.decode(encoded)
            return next((properties[key] for key in keys if key in properties), None)
        names = self._names[int.from_bytes(encoded[:_NUMBER_BYTES], "big")]
        for key in keys:
            if key in names:
                value: PropertyValue = orjson.loads(encoded[_NUMBER_BYTES:])[names.index(key)]
                return value
        return None
