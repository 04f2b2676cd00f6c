"""Filter expressions of rules: which of them an item matches, one bit each.

An expression about columns of items alone has the same outcome until the item changes, so the outcomes of an
item are kept, and a request looks them up. Other expressions (the visitor's interactions, `IF`,
`CurrentItem`) are evaluated for each request.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.events.field_aliases import normalized_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from services.recommender.domain.filterable_items import FilterableItems
    from services.recommender.domain.properties import PropertyValue
    from services.recommender.serving.placements.rules.sources import RuleSources
    from services.recommender.serving.query import BoundFilter, RequestContext

MAX_KEPT_ITEMS = 20_000
"""Items of a placement whose outcomes are kept, about 5 MB. Arbitrary."""

Bits = int
Values = tuple[str, ...]


class _Outcome(NamedTuple):
    """The expressions that an item matches, and its values of the capped columns, as of a state."""

    state: bytes
    bits: Bits
    values: tuple[Values, ...]


class Conditions:
    """The expressions of a placement's filters and rules, and the columns of its caps."""

    def __init__(self, bound_filters: Sequence[BoundFilter], capped_columns: Sequence[str] = ()) -> None:
        """Take the expressions, which select items; bit n is that of `bound_filters[n]`."""
        self._of_items = [
            (1 << number, bound_filter)
            for number, bound_filter in enumerate(bound_filters)
            if not _depends_on_request(bound_filter)
        ]
        self._of_requests = [
            (1 << number, bound_filter)
            for number, bound_filter in enumerate(bound_filters)
            if _depends_on_request(bound_filter)
        ]
        self._capped = tuple(map(normalized_name, capped_columns))
        read = (
            normalized_name(name)
            for _, bound_filter in self._of_items
            for name in bound_filter.columns("ITEMS")
        )
        self._columns = tuple(dict.fromkeys([*read, *self._capped]))
        self._outcomes: dict[str, _Outcome] = {}
        self._trained_items: Callable[[], FilterableItems | None] = _nothing
        # The outcomes of items that have not changed since this version of the catalogue.
        self._version = -1
        self._bits: dict[str, Bits] = {}
        self._values: dict[str, tuple[Values, ...]] = {}

    def matches(self, item_ids: Iterable[str], sources: RuleSources) -> dict[str, Bits]:
        """Return by item the expressions about columns of items that it matches.

        The result also has other items; it must not be changed.
        """
        self._check(sources)
        bits = self._bits
        for item_id in [item_id for item_id in item_ids if item_id not in bits]:
            outcome = self._outcomes.get(item_id)
            if outcome is None or outcome.state is not sources.catalogue.state_token(item_id):
                outcome = self._outcomes[item_id] = self._outcome(item_id, sources)
            self._bits[item_id] = outcome.bits
            self._values[item_id] = outcome.values
        return bits

    def values(self, item_ids: Iterable[str], sources: RuleSources) -> dict[str, tuple[Values, ...]]:
        """Return by item its values in the column of each cap; the result must not be changed."""
        self.matches(item_ids, sources)
        return self._values

    async def add_matches_of_request(
        self, matches: dict[str, Bits], context: RequestContext, sources: RuleSources
    ) -> None:
        """Add the expressions that depend on the request to the `matches` of its items."""
        for bit, bound_filter in self._of_requests:
            passing = await sources.item_filters.passing(
                bound_filter, list(matches), sources.trained_items, sources.model, context, sources.catalogue
            )
            for item_id in passing:
                matches[item_id] |= bit

    @property
    def depend_on_request(self) -> bool:
        """Return whether some expressions depend on the request."""
        return bool(self._of_requests)

    @property
    def read_items(self) -> bool:
        """Return whether expressions or caps read items."""
        return bool(self._of_items or self._of_requests or self._capped)

    def _check(self, sources: RuleSources) -> None:
        """Forget outcomes after a change of the catalogue or of the model, or when there are too many."""
        trained_items, version = sources.trained_items, sources.catalogue.version
        if self._trained_items() is not trained_items:
            self._trained_items = _nothing if trained_items is None else weakref.ref(trained_items)
            self._outcomes, self._version = {}, -1
        elif len(self._outcomes) > MAX_KEPT_ITEMS:
            self._outcomes, self._version = {}, -1
        if self._version != version:
            self._version, self._bits, self._values = version, {}, {}

    def _outcome(self, item_id: str, sources: RuleSources) -> _Outcome:
        cells = sources.cells(item_id, self._columns)

        def field_of(key: str) -> Any:
            return item_id if key == "itemid" else cells.get(key)

        bits = 0
        for bit, bound_filter in self._of_items:
            if bound_filter.bound.admits(field_of):
                bits |= bit
        values = tuple(_values_of(field_of(key)) for key in self._capped)
        return _Outcome(sources.catalogue.state_token(item_id), bits, values)


def _depends_on_request(bound_filter: BoundFilter) -> bool:
    filter_ = bound_filter.filter
    return filter_.needs_user or filter_.needs_item or filter_.needs_interactions


def _values_of(cell: PropertyValue | None) -> Values:
    """Return the values of a cell such as `tea|green`, each once; () for a missing cell."""
    if cell is None:
        return ()
    return tuple(dict.fromkeys(value for value in str(cell).split("|") if value))


def _nothing() -> None:
    return None
