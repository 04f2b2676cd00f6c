"""Filters at work: a request's filter with its values, and the items that it lets through."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.recommender.domain.facts import fact, spelled
from services.recommender.domain.filterable_items import FilterableItems
from shared.aws import Arn, invalid_input, not_found
from shared.events import canonical_type
from shared.events.spellings import folded
from shared.filters import Events, Filter, FilterError
from shared.models import Attributes

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.facts import Value
    from services.recommender.domain.filterable_items import Mask
    from services.recommender.store.filters import Filters
    from services.recommender.store.profiles import Profile, Profiles
    from shared.filters import Bound, Table
    from shared.models import Model

Rows = NDArray[np.int64]

_PURCHASE = "purchase"
_KEPT_BOUND = 1_000


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The subject of a request: the user with their recent history, the item, and context columns."""

    tenant: str
    user_id: str | None
    item_id: str | None
    profile: Profile
    context: Mapping[str, str] = field(default_factory=dict)
    name_in_models: str | None = None
    """The id by which models know the user: another one than `user_id` while the user is being erased."""


@dataclass(frozen=True, slots=True)
class BoundFilter:
    """A filter and the values of one request."""

    filter: Filter
    bound: Bound
    key: Hashable

    @property
    def overrides_history_rules(self) -> bool:
        """Whether it says itself which of the items that a user had to do with are wanted."""
        return any(clause.includes and clause.dataset == "INTERACTIONS" for clause in self.filter.clauses)

    def names(self, dataset: str) -> Sequence[str]:
        """The fields that it asks of a dataset."""
        return [name for of, name in self.filter.fields if of == dataset]


class ItemFilters:
    """Finds filters, and makes masks of them."""

    def __init__(self, filters: Filters, profiles: Profiles) -> None:
        self._filters = filters
        self._profiles = profiles
        self._bound: dict[Hashable, Bound] = {}

    async def of(self, tenant: str, arn: str | None, values: Mapping[str, str] | None) -> BoundFilter | None:
        """The filter that an ARN names, with its values; none without an ARN.

        ResourceNotFoundException for an unknown filter, InvalidInputException for values that it can't take.
        """
        if arn is None:
            if values:
                raise invalid_input("filterValues need the filterArn of the filter that they are for.")
            return None
        name = Arn.parse(arn, "filter").name
        found = await self._filters.find(tenant, name)
        if found is None:
            raise not_found(f"There is no filter {name!r} here. Create it, or check the ARN: {arn}")
        if found.selects != "item":
            raise invalid_input(f"The filter {name!r} filters users; recommendations need one of items.")
        key = (found.expression, *sorted((values or {}).items()))
        return BoundFilter(found, self._bind(found, values or {}, key), key)

    async def mask(
        self,
        bound_filter: BoundFilter,
        filterable_items: FilterableItems,
        model: Model | None,
        request: RequestContext,
    ) -> Mask:
        """The items of a filterable_items that pass, by their numbers."""
        asked = bound_filter.filter
        if (asked.needs_user or asked.needs_interactions) and not request.user_id:
            raise invalid_input("userId is required by the filter.")
        user = await self._user(bound_filter, model, request) if asked.needs_user else {}
        item_id = request.item_id if asked.needs_item else None
        table = filterable_items.table(bound_filter.names("ITEMS"), time.monotonic())

        def made(table: Table) -> Mask:
            events = _events(filterable_items, model, request) if asked.needs_interactions else ()
            return bound_filter.bound.mask(table, interactions=events, user=user, item_id=item_id)

        if asked.needs_interactions:
            return made(table)
        return filterable_items.mask((bound_filter.key, *sorted(user.items()), item_id), table, made)

    def listed(self, ids: Sequence[str], catalogue: Catalogue) -> FilterableItems:
        """Items of a list without a model, with what the shop says of them."""
        return FilterableItems(ids, {item: row for row, item in enumerate(ids)}, Attributes(), catalogue)

    def _bind(self, found: Filter, values: Mapping[str, str], key: Hashable) -> Bound:
        bound = self._bound.get(key)
        if bound is None:
            try:
                bound = found.bind(values)
            except FilterError as error:
                raise invalid_input(str(error)) from None
            if len(self._bound) >= _KEPT_BOUND:
                self._bound.clear()
            self._bound[key] = bound
        return bound

    async def _user(
        self, bound_filter: BoundFilter, model: Model | None, request: RequestContext
    ) -> dict[str, Value]:
        """What is known of the user, of the fields that the filter asks for: the shop's word first."""
        user_id = request.user_id or ""
        told = await self._profiles.facts(request.tenant, user_id)
        row = model.users.find(request.name_in_models or "") if model else None
        found = {}
        for name in bound_filter.names("USERS"):
            value = fact(told, "user", name)
            if value is None and model is not None and row is not None:
                column = spelled("user", name, model.user_attributes.columns)
                value = None if column is None else model.user_attributes.value(column, row)
            if folded(name) == "userid":
                value = user_id
            if value is not None:
                found[name] = value
        return found


def _events(filterable_items: FilterableItems, model: Model | None, request: RequestContext) -> Events:
    """What training and the last days know of the user, as rows of the filterable_items."""
    profile = request.profile
    done = [(item, canonical_type(kind)) for item, kind, _ in profile.history]
    done += [(item, _PURCHASE) for item in profile.bought]
    names: dict[str, int] = {}
    items, types = np.zeros(0, np.int64), np.zeros(0, np.int64)
    has_index = model is not None and model.interactions.available
    user = model.users.find(request.name_in_models or "") if model is not None and has_index else None
    if model is not None and user is not None:
        names = {name: number for number, name in enumerate(model.interactions.event_types)}
        items, types = _on(filterable_items, model, *model.interactions.row(user))
    known = [(row, kind) for item, kind in done if (row := filterable_items.rows.get(item)) is not None]
    rows = np.array([row for row, _ in known], np.int64)
    kinds = np.array([names.setdefault(kind, len(names)) for _, kind in known], np.int64)
    return Events(np.concatenate((items, rows)), np.concatenate((types, kinds)), tuple(names))


def _on(
    filterable_items: FilterableItems, model: Model, items: NDArray[Any], types: NDArray[Any]
) -> tuple[Rows, Rows]:
    """A model's items as rows of a filterable_items, without those that are not on it."""
    if filterable_items.rows is model.items.numbers:
        return items.astype(np.int64), types.astype(np.int64)
    ids = model.items.strings
    rows = np.array([filterable_items.rows.get(ids[item], -1) for item in items.tolist()], np.int64)
    return rows[rows >= 0], types[rows >= 0].astype(np.int64)
