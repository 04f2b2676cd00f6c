"""Facts of items as bytes that do not repeat the names of columns.

Most items of a shop have the same columns, so the names are held once for all of them: a packed item
holds the number of its set of names, and its values as a JSON array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from services.recommender.domain.facts import Value

MOST_SHAPES = 200
MOST_CHARACTERS = 2_000
"""Sets of names that are held once, per tenant, and the characters of one. A shop has a handful of sets;
items beyond carry their names, so that made-up names don't outlive their items."""

_NUMBER = 2
_OWN_NAMES = (0xFFFF).to_bytes(_NUMBER, "big")


class Shapes:
    """The sets of column names of one tenant's items."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}
        self._names: list[tuple[str, ...]] = []

    def pack(self, facts: Mapping[str, Value]) -> bytes:
        """Return the facts as bytes: two bytes for their names, then JSON; `b""` for no facts."""
        if not facts:
            return b""
        names = tuple(facts)
        number = self._numbers.get(names)
        if number is None:
            if len(self._names) >= MOST_SHAPES or sum(map(len, names)) > MOST_CHARACTERS:
                return _OWN_NAMES + orjson.dumps(facts)
            number = self._numbers[names] = len(self._names)
            self._names.append(names)
        return number.to_bytes(_NUMBER, "big") + orjson.dumps(list(facts.values()))

    def unpack(self, packed: bytes) -> dict[str, Value]:
        """Return the facts by their keys, from what `pack` made."""
        if not packed:
            return {}
        head, content = packed[:_NUMBER], orjson.loads(packed[_NUMBER:])
        if head == _OWN_NAMES:
            own: dict[str, Value] = content
            return own
        values: list[Any] = content
        return dict(zip(self._names[int.from_bytes(head, "big")], values, strict=True))

    def value(self, packed: bytes, keys: tuple[str, ...]) -> Value | None:
        """Return the fact under the first of the keys that what `pack` made has; else None."""
        if not packed:
            return None
        if packed[:_NUMBER] == _OWN_NAMES:
            own = self.unpack(packed)
            return next((own[key] for key in keys if key in own), None)
        names = self._names[int.from_bytes(packed[:_NUMBER], "big")]
        for key in keys:
            if key in names:
                found: Value = orjson.loads(packed[_NUMBER:])[names.index(key)]
                return found
        return None
