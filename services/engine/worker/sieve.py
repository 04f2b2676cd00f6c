"""What a job's filter lets through, for one line of its input after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import Permanent
from shared.filters import Bound, Events, Filter, FilterError, Table
from shared.models import Model

Mask = NDArray[np.bool_]
Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a line asks for: a user or an item, and the values of the filter's parameters."""

    query: str
    user: str | None
    values: Values


class Sieve:
    """A filter over a model's items."""

    def __init__(self, expression: str, model: Model) -> None:
        """Permanent when the model lacks what the filter asks for."""
        self._filter = Filter.parse(expression)
        self._model = model
        self._table = Table.of(model.items.strings, model.item_attributes)
        if self._filter.needs_interactions and not model.deeds.known:
            raise Permanent(
                "The filter asks what users did, and this solution version does not keep that: its recipe "
                "knows no users, or it has to be trained again."
            )
        if self._filter.needs_item and model.scoring.kind != "item":
            raise Permanent("The filter asks for CurrentItem, which only recipes of related items have.")
        self._personal = self._filter.needs_user or self._filter.needs_interactions
        self._bound = lru_cache(1024)(self._bind)
        self._shared = lru_cache(64)(self._mask)

    def asked(self, query: str, given: Mapping[str, Any]) -> Asked:
        """What a line asks for; FilterError when its filterValues don't fit the filter."""
        values = given.get("filterValues") or {}
        if not isinstance(values, dict) or not all(isinstance(text, str) for text in values.values()):
            raise FilterError('filterValues must be an object of texts, as {"GENRES": "\\"comedy\\""}.')
        user = given.get("userId")
        asked = Asked(query, user if isinstance(user, str) else None, tuple(sorted(values.items())))
        self._bound(asked.values)
        return asked

    def mask(self, asked: Asked) -> Mask:
        """The items that the line may be answered with, by their numbers. Not to be changed."""
        if self._personal:
            return self._mask(asked.values, asked.query, asked.user)
        return self._shared(asked.values, asked.query if self._filter.needs_item else "", None)

    def _bind(self, values: Values) -> Bound:
        return self._filter.bind(dict(values))

    def _mask(self, values: Values, query: str, user_id: str | None) -> Mask:
        user = None if user_id is None else self._model.users.find(user_id)
        return self._bound(values).mask(
            self._table,
            interactions=() if user is None else self._events(user),
            user=None if user is None else self._model.user_attributes.row(user) | {"USER_ID": user_id},
            item_id=query,
        )

    def _events(self, user: int) -> Events:
        deeds = self._model.deeds
        if not deeds.known:
            return Events(np.zeros(0, np.int64), np.zeros(0, np.int64), ())
        items, types = deeds.row(user)
        return Events(items, types, deeds.names)


def passes(asked: Sequence[Asked]) -> Iterator[dict[str, tuple[Asked, list[int]]]]:
    """The lines in as few groups as possible, in each of which a query has one mask.

    Each group holds queries with what they ask and the places of their lines.
    """
    groups: list[dict[str, tuple[Asked, list[int]]]] = []
    group_of: dict[Asked, int] = {}
    counts: dict[str, int] = {}
    for place, one in enumerate(asked):
        if one not in group_of:
            group_of[one] = counts.get(one.query, 0)
            counts[one.query] = group_of[one] + 1
        number = group_of[one]
        if number == len(groups):
            groups.append({})
        groups[number].setdefault(one.query, (one, []))[1].append(place)
    yield from groups
