"""Filters: bind the values of a request, and compute which items pass."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.recommender.domain.filterable_items import FilterableItems
from services.recommender.domain.properties import matching_column, property_value
from services.recommender.serving.query import BoundFilter
from shared.aws import Arn, invalid_input, not_found
from shared.events import canonical_type
from shared.events.field_aliases import normalized_name
from shared.filters import Events, Filter, FilterError
from shared.models import Attributes

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.filterable_items import Mask
    from services.recommender.domain.properties import PropertyValue
    from services.recommender.serving.query import RequestContext
    from services.recommender.store.filters import Filters
    from services.recommender.store.profiles import Profiles
    from shared.filters import Bound, Table
    from shared.models import Model

Rows = NDArray[np.int64]

_PURCHASE = "purchase"
_MAX_BOUND_EXPRESSIONS = 1_000


class ItemFilters:
    """Binds filters to the values of requests, and computes their masks."""

    def __init__(self, filters: Filters, profiles: Profiles) -> None:
        self._filters = filters
        self._profiles = profiles
        self._bound_expressions: dict[Hashable, Bound] = {}

    def known(self, tenant: str, name: str) -> Filter | None:
        """Return the filter of a name if it is in memory, else None."""
        return self._filters.known(tenant, name)

    async def bind(
        self, tenant: str, arn: str | None, values: Mapping[str, str] | None
    ) -> BoundFilter | None:
        """Return the filter that an ARN names, with its values; None without an ARN.

        Raise ResourceNotFoundException for an unknown filter, and InvalidInputException for values that do
        not fit its parameters.
        """
        if arn is None:
            if values:
                raise invalid_input("filterValues need the filterArn of the filter that they are for.")
            return None
        return await self.bind_name(tenant, Arn.parse(arn, "filter").name, values or {})

    async def bind_name(self, tenant: str, name: str, values: Mapping[str, str]) -> BoundFilter:
        """Return the filter of a name with its values; raise the same errors as `bind`.

        Those are ResourceNotFoundException and InvalidInputException.
        """
        filter_ = await self._filters.find(tenant, name)
        if filter_ is None:
            raise not_found(f"There is no filter {name!r} here. Create it, or check the name.")
        if filter_.selects != "item":
            raise invalid_input(f"The filter {name!r} filters users; recommendations need one of items.")
        key = (filter_.expression, *sorted(values.items()))
        return BoundFilter(filter_, self._bound(filter_, values, key), key)

    async def mask(
        self,
        bound_filter: BoundFilter,
        items: FilterableItems,
        model: Model | None,
        request: RequestContext,
    ) -> Mask:
        """Return which items pass, as bool[items]; raise InvalidInputException if the filter needs a user."""
        filter_ = bound_filter.filter
        if (filter_.needs_user or filter_.needs_interactions) and not request.user_id:
            raise invalid_input("userId is required by the filter.")
        return await self._mask(bound_filter, items, model, request)

    async def passing(
        self,
        bound_filter: BoundFilter,
        item_ids: Sequence[str],
        items: FilterableItems | None,
        model: Model | None,
        request: RequestContext,
        catalogue: Catalogue,
    ) -> set[str]:
        """Return which of the items pass, whether `items`, those of the model, have them or not.

        For a guest, conditions on the user's columns are not met, and interactions are those of the profile.
        """
        passing: set[str] = set()
        unknown = list(item_ids)
        if items is not None:
            mask, rows = await self._mask(bound_filter, items, model, request), items.rows
            passing = {id_ for id_ in item_ids if (row := rows.get(id_)) is not None and mask[row]}
            unknown = [item_id for item_id in item_ids if item_id not in rows]
        if unknown:
            known = [] if request.item_id is None else [request.item_id]
            rest = self.without_model([*dict.fromkeys([*unknown, *known])], catalogue)
            rest_mask = await self._mask(bound_filter, rest, model, request)
            passing |= {item_id for item_id in unknown if rest_mask[rest.rows[item_id]]}
        return passing

    async def _mask(
        self, bound_filter: BoundFilter, items: FilterableItems, model: Model | None, request: RequestContext
    ) -> Mask:
        """Return which items pass, as bool[items]."""
        filter_ = bound_filter.filter
        user = await self._user(bound_filter, model, request) if filter_.needs_user else {}
        item_id = request.item_id if filter_.needs_item else None
        table = items.table(bound_filter.columns("ITEMS"), time.monotonic())

        def compute(table: Table) -> Mask:
            events = _events(items, model, request) if filter_.needs_interactions else ()
            return bound_filter.bound.mask(table, interactions=events, user=user, item_id=item_id)

        if filter_.needs_interactions:
            return compute(table)
        return items.mask((bound_filter.key, *sorted(user.items()), item_id), table, compute)

    def without_model(self, item_ids: Sequence[str], catalogue: Catalogue) -> FilterableItems:
        """Return the items of a list, with the properties of the catalogue alone."""
        rows = {item_id: row for row, item_id in enumerate(item_ids)}
        return FilterableItems(item_ids, rows, Attributes(), catalogue)

    def _bound(self, filter_: Filter, values: Mapping[str, str], key: Hashable) -> Bound:
        bound = self._bound_expressions.get(key)
        if bound is None:
            try:
                bound = filter_.bind(values)
            except FilterError as error:
                raise invalid_input(str(error)) from None
            if len(self._bound_expressions) >= _MAX_BOUND_EXPRESSIONS:
                self._bound_expressions.clear()
            self._bound_expressions[key] = bound
        return bound

    async def _user(
        self, bound_filter: BoundFilter, model: Model | None, request: RequestContext
    ) -> dict[str, PropertyValue]:
        """Return the columns of the user that the filter reads: the shop's values, else the model's.

        Return none for a guest.
        """
        if not request.user_id:
            return {}
        user_id = request.user_id
        properties = await self._profiles.properties(request.tenant, user_id)
        row = model.users.find(request.model_user_id or "") if model else None
        columns = {}
        for name in bound_filter.columns("USERS"):
            value = property_value(properties, "user", name)
            if value is None and model is not None and row is not None:
                column = matching_column("user", name, model.user_attributes.columns)
                value = None if column is None else model.user_attributes.value(column, row)
            if normalized_name(name) == "userid":
                value = user_id
            if value is not None:
                columns[name] = value
        return columns


def _events(items: FilterableItems, model: Model | None, request: RequestContext) -> Events:
    """Return the user's interactions, of the training data and of the profile, as rows of `items`."""
    profile = request.profile
    recent = [(item_id, canonical_type(event_type)) for item_id, event_type, _ in profile.history]
    recent += [(item_id, _PURCHASE) for item_id in profile.purchased]
    type_numbers: dict[str, int] = {}
    rows, types = np.zeros(0, np.int64), np.zeros(0, np.int64)
    user = None
    if model is not None and model.interactions.available:
        user = model.users.find(request.model_user_id or "")
    if model is not None and user is not None:
        type_numbers = {name: number for number, name in enumerate(model.interactions.event_types)}
        rows, types = _rows_of(items, model, *model.interactions.row(user))
    known = [(row, type_) for item_id, type_ in recent if (row := items.rows.get(item_id)) is not None]
    recent_rows = np.array([row for row, _ in known], np.int64)
    recent_types = np.array(
        [type_numbers.setdefault(type_, len(type_numbers)) for _, type_ in known], np.int64
    )
    return Events(
        np.concatenate((rows, recent_rows)), np.concatenate((types, recent_types)), tuple(type_numbers)
    )


def _rows_of(
    items: FilterableItems, model: Model, numbers: NDArray[Any], types: NDArray[Any]
) -> tuple[Rows, Rows]:
    """Return items of a model as rows of `items`, without those that it lacks, with their event types.

    Both results are int64[n]; `numbers` are indices of the model's items.
    """
    if items.rows is model.items.numbers:
        return numbers.astype(np.int64), types.astype(np.int64)
    ids = model.items.strings
    rows = np.array([items.rows.get(ids[number], -1) for number in numbers.tolist()], np.int64)
    return rows[rows >= 0], types[rows >= 0].astype(np.int64)
