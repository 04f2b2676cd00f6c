"""The filter of a batch job, bound to the parameter values of each input line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import Permanent
from shared.filters import Bound, Events, Filter, FilterError, Table
from shared.models import Ids, InteractionIndex, Model

Mask = NDArray[np.bool_]
ParameterValues = tuple[tuple[str, str], ...]
"""The names and values of a filter's parameters, sorted by name."""

_INVALID_VALUES = 'filterValues must be an object of texts, as {"GENRES": "\\"comedy\\""}.'


@dataclass(frozen=True, slots=True)
class FilterRequest:
    """The inputs of the mask of a line: its query (a user id or item id), its user, and its values."""

    query: str
    user_id: str | None
    values: ParameterValues


class ItemFilter:
    """A filter over the items of a model; the masks of recent requests are cached."""

    def __init__(
        self, expression: str, model: Model, later: tuple[Ids, InteractionIndex] | None = None
    ) -> None:
        """Parse an expression; `later` are users and their interactions since the training.

        Raises Permanent when the model lacks data that the filter needs.
        """
        self._filter = Filter.parse(expression)
        self._model = model
        self._table = Table.of(model.items.strings, model.item_attributes)
        _require_interactions(self._filter, model)
        self._interactions = [(model.users, model.interactions), *([later] if later else [])]
        if self._filter.needs_item and model.scoring.kind != "item":
            raise Permanent("The filter asks for CurrentItem, which only recipes of related items have.")
        self._is_personal = self._filter.needs_user or self._filter.needs_interactions
        self._bound = lru_cache(1024)(self._bind)
        self._shared_mask = lru_cache(64)(self._mask)

    def request(self, query: str, line: Mapping[str, Any]) -> FilterRequest:
        """Return the filter request of a line; FilterError when its filterValues don't fit the filter."""
        user_id = line.get("userId")
        request = FilterRequest(query, user_id if isinstance(user_id, str) else None, _values(line))
        self._bound(request.values)
        return request

    def mask(self, request: FilterRequest) -> Mask:
        """Return whether each item passes the filter: bool[items], shared with other callers (read-only)."""
        if self._is_personal:
            return self._mask(request.values, request.query, request.user_id)
        return self._shared_mask(request.values, request.query if self._filter.needs_item else "", None)

    def _bind(self, values: ParameterValues) -> Bound:
        return self._filter.bind(dict(values))

    def _mask(self, values: ParameterValues, query: str, user_id: str | None) -> Mask:
        bound = self._bound(values)
        if user_id is None:
            return bound.mask(self._table, item_id=query)
        index = self._model.users.find(user_id)
        attributes = {} if index is None else self._model.user_attributes.row(index)
        user = {**attributes, "USER_ID": user_id}
        return bound.mask(self._table, interactions=self._events(user_id), user=user, item_id=query)

    def _events(self, user_id: str) -> Events:
        """Return the events of a user, before and after the training."""
        items, types = [np.zeros(0, np.int32)], [np.zeros(0, np.int16)]
        names: tuple[str, ...] = ()
        for users, interactions in self._interactions:
            index = users.find(user_id)
            if interactions.available and index is not None:
                user_items, user_types = interactions.row(index)
                items.append(user_items)
                types.append(user_types + np.int16(len(names)))
                names += interactions.event_types
        return Events(np.concatenate(items), np.concatenate(types), names)


class UserFilter:
    """A filter over the users of a model; the masks of recent values are cached."""

    def __init__(self, expression: str, model: Model, present: Mask) -> None:
        """Parse an expression; `present` (bool[users]) are the users that it may let through.

        Raises Permanent when the model lacks data that the filter needs.
        """
        self._filter = Filter.parse(expression)
        self._present = present
        self.has_parameters = bool(self._filter.parameters)
        """True if the masks of two lines may differ."""
        _require_interactions(self._filter, model)
        self._table = Table.of(model.users.strings, model.user_attributes)
        self._events: Events | tuple[()] = ()
        if self._filter.needs_interactions:
            self._events = Events(
                model.interactions.users, model.interactions.types, model.interactions.event_types
            )
        self._cached_mask = lru_cache(64)(self._mask)

    def mask(self, line: Mapping[str, Any]) -> Mask:
        """Return whether each user passes the filter: bool[users], shared with other callers (read-only).

        Raises FilterError when the filterValues of the line don't fit the filter.
        """
        return self._cached_mask(_values(line))

    def _mask(self, values: ParameterValues) -> Mask:
        return self._present & self._filter.bind(dict(values)).mask(self._table, interactions=self._events)


def _values(line: Mapping[str, Any]) -> ParameterValues:
    """Return the filterValues of a line, sorted; FilterError when they are not an object of texts."""
    values = line.get("filterValues") or {}
    if not isinstance(values, dict) or not all(isinstance(text, str) for text in values.values()):
        raise FilterError(_INVALID_VALUES)
    return tuple(sorted(values.items()))


def _require_interactions(expression: Filter, model: Model) -> None:
    if expression.needs_interactions and not model.interactions.available:
        raise Permanent(
            "The filter asks what users did, and this solution version does not keep that: train it again."
        )


QueryGroup = dict[str, tuple[FilterRequest, list[int]]]
"""By query, its filter request and the indices of its lines."""


def group_by_query(requests: Sequence[FilterRequest]) -> list[QueryGroup]:
    """Split requests into as few groups as possible such that in a group each query has one request.

    A model scores a group at once, with one mask for each query.
    """
    groups: list[QueryGroup] = []
    group_of: dict[FilterRequest, int] = {}
    counts: dict[str, int] = {}
    for line, request in enumerate(requests):
        if request not in group_of:
            group_of[request] = counts.get(request.query, 0)
            counts[request.query] = group_of[request] + 1
        number = group_of[request]
        if number == len(groups):
            groups.append({})
        groups[number].setdefault(request.query, (request, []))[1].append(line)
    return groups
