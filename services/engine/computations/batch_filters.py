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
from shared.models import Ids, InteractionIndex, Model

Mask = NDArray[np.bool_]
Values = tuple[tuple[str, str], ...]

_NO_VALUES = 'filterValues must be an object of texts, as {"GENRES": "\\"comedy\\""}.'


@dataclass(frozen=True, slots=True)
class Asked:
    """What a line asks for: a user or an item, and the values of the filter's parameters."""

    query: str
    user: str | None
    values: Values


class Sieve:
    """A filter over a model's items."""

    def __init__(
        self, expression: str, model: Model, later: tuple[Ids, InteractionIndex] | None = None
    ) -> None:
        """Permanent when the model lacks what the filter asks for; `later` is what was done since."""
        self._filter = Filter.parse(expression)
        self._model = model
        self._table = Table.of(model.items.strings, model.item_attributes)
        _require_interactions(self._filter, model)
        self._done = (
            [(model.users, model.interactions), later] if later else [(model.users, model.interactions)]
        )
        if self._filter.needs_item and model.scoring.kind != "item":
            raise Permanent("The filter asks for CurrentItem, which only recipes of related items have.")
        self._personal = self._filter.needs_user or self._filter.needs_interactions
        self._bound = lru_cache(1024)(self._bind)
        self._shared = lru_cache(64)(self._mask)

    def asked(self, query: str, given: Mapping[str, Any]) -> Asked:
        """What a line asks for; FilterError when its filterValues don't fit the filter."""
        user = given.get("userId")
        asked = Asked(query, user if isinstance(user, str) else None, _values(given))
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
        bound = self._bound(values)
        if user_id is None:
            return bound.mask(self._table, item_id=query)
        number = self._model.users.find(user_id)
        known = {} if number is None else self._model.user_attributes.row(number)
        user = {**known, "USER_ID": user_id}
        return bound.mask(self._table, interactions=self._events(user_id), user=user, item_id=query)

    def _events(self, user_id: str) -> Events:
        """What a user did until the training, and since."""
        items, types = [np.zeros(0, np.int32)], [np.zeros(0, np.int16)]
        names: tuple[str, ...] = ()
        for users, interactions in self._done:
            number = users.find(user_id)
            if interactions.available and number is not None:
                theirs, kinds = interactions.row(number)
                items.append(theirs)
                types.append(kinds + np.int16(len(names)))
                names += interactions.event_types
        return Events(np.concatenate(items), np.concatenate(types), names)


class UserSieve:
    """A filter over a model's users."""

    def __init__(self, expression: str, model: Model, present: Mask) -> None:
        """Of the users that are `present`. Permanent when the model lacks what the filter asks for."""
        self._filter = Filter.parse(expression)
        self._present = present
        self.varies = bool(self._filter.parameters)
        """Whether lines may have masks that differ."""
        _require_interactions(self._filter, model)
        self._table = Table.of(model.users.strings, model.user_attributes)
        self._events: Events | tuple[()] = ()
        if self._filter.needs_interactions:
            self._events = Events(
                model.interactions.users, model.interactions.types, model.interactions.event_types
            )
        self._masks = lru_cache(64)(self._mask)

    def mask(self, given: Mapping[str, Any]) -> Mask:
        """The users of a line's segment, by their numbers; FilterError for filterValues that don't fit.

        Not to be changed.
        """
        return self._masks(_values(given))

    def _mask(self, values: Values) -> Mask:
        return self._present & self._filter.bind(dict(values)).mask(self._table, interactions=self._events)


def _values(given: Mapping[str, Any]) -> Values:
    """The filterValues of a line; FilterError when they are something else."""
    values = given.get("filterValues") or {}
    if not isinstance(values, dict) or not all(isinstance(text, str) for text in values.values()):
        raise FilterError(_NO_VALUES)
    return tuple(sorted(values.items()))


def _require_interactions(chosen: Filter, model: Model) -> None:
    if chosen.needs_interactions and not model.interactions.available:
        raise Permanent(
            "The filter asks what users did, and this solution version does not keep that: train it again."
        )


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
