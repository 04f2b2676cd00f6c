"""The items of a model or a list as filters see them: values of the training data and of the shop."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.recommender.domain.properties import PropertyValue, matching_column, property_keys
from shared.events.field_aliases import columns_of_fields, normalized_name
from shared.filters import Table
from shared.models import Attributes

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue
    from shared.models.attributes import NumberKind

Mask = NDArray[np.bool_]
Column = NDArray[Any]

MAX_MASKS = 256
ITEMS_PER_SECOND = 10_000
"""Bounds how often columns are refreshed: every second for a small catalogue, every ten for 100,000 items."""


class FilterableItems:
    """Items in a fixed order, with their columns, and the masks that filters computed over them.

    A value of the shop overrides the one known at training. The columns are refreshed when the catalogue has
    changed, but at most every `refresh_seconds`: refreshed columns must be indexed anew.
    """

    def __init__(
        self,
        ids: Sequence[str],
        rows: Mapping[str, int],
        attributes: Attributes,
        catalogue: Catalogue,
    ) -> None:
        """Take the items `ids`; `rows` maps each id to its index. `attributes` are the values at training."""
        self.ids = ids
        self.rows = rows
        self.refresh_seconds = max(1.0, len(ids) / ITEMS_PER_SECOND)
        self._attributes = attributes
        self._catalogue = catalogue
        self._columns: dict[str, _OverriddenColumn] = {}
        self._additional_names: dict[str, None] = {}
        self._masks: OrderedDict[Hashable, Mask] = OrderedDict()
        self._table: Table | None = None
        self._version = -1
        self._next_refresh = 0.0

    def table(self, names: Sequence[str], now: float) -> Table:
        """Return the items as a table with columns of these names; a column without values holds None."""
        # The id is not a column: a table knows the ids of its rows.
        column_names = (name for name in names if normalized_name(name) != "itemid")
        missing = [name for name in column_names if name not in self._additional_names]
        if missing or self._table is None or self._is_outdated(now):
            self._additional_names |= dict.fromkeys(missing)
            self._version, self._next_refresh = self._catalogue.version, now + self.refresh_seconds
            self._masks.clear()
            all_names = [*self._attributes.columns, *self._additional_names]
            self._table = Table(self.ids, _LazyColumns(all_names, self._column))
        return self._table

    def mask(self, key: Hashable, table: Table, compute: Callable[[Table], Mask]) -> Mask:
        """Return the mask bool[items] of a key, computed once per table; it must not be modified."""
        mask = self._masks.get(key)
        if mask is None:
            mask = self._masks[key] = compute(table)
            if len(self._masks) > MAX_MASKS:
                self._masks.popitem(last=False)
        return mask

    def column(self, name: str) -> str | None:
        """Return the column of the training data that a name refers to; None if there is none."""
        return matching_column("item", name, self._attributes.columns)

    def kind(self, column: str) -> NumberKind | None:
        """Return the number type of a column in the dataset; None for texts, and if it is not known."""
        return self._attributes.kinds.get(column)

    def cells(self, item_id: str, names: Sequence[str]) -> dict[str, PropertyValue]:
        """Return the values of some columns of one item, without missing ones."""
        properties = self._catalogue.properties(item_id)
        row, cells = self.rows.get(item_id), {}
        for name in names:
            value = next((properties[key] for key in self._keys(name) if key in properties), None)
            if value is None and row is not None:
                value = self._attributes.value(self._training_column(name), row)
            if value is not None:
                cells[name] = value
        return cells

    def _is_outdated(self, now: float) -> bool:
        return self._version != self._catalogue.version and now >= self._next_refresh

    def _training_column(self, name: str) -> str:
        if name in self._attributes.columns:
            return name
        return self.column(name) or name

    def _keys(self, name: str) -> tuple[str, ...]:
        """Return the keys of a column's property; a field is only one of the column that represents it."""
        column, columns = self._training_column(name), self._attributes.columns
        keys = property_keys("item", column)
        if column in columns and column not in columns_of_fields("item", columns).values():
            return keys[:1]
        return keys

    def _column(self, name: str) -> Column:
        column = self._columns.get(name)
        if column is None:
            values = self._attributes.values(self._training_column(name))
            if values is None:
                values = np.full(len(self.ids), None, object)
            column = self._columns[name] = _OverriddenColumn(self._keys(name), values)
        return column.refresh(self.ids, self._catalogue)


class _OverriddenColumn:
    """A column of the training data, overridden by the shop's values; only changed items are read again."""

    def __init__(self, keys: tuple[str, ...], trained: Column) -> None:
        self._keys = keys
        self._trained = trained
        self._values = trained.copy()
        self._tokens: list[bytes] = [b""] * len(trained)

    def refresh(self, ids: Sequence[str], catalogue: Catalogue) -> Column:
        state_token, tokens, values = catalogue.state_token, self._tokens, self._values
        for row, item_id in enumerate(ids):
            token = state_token(item_id)
            if token is not tokens[row]:
                tokens[row] = token
                values[row] = self._merged(catalogue.property_value(item_id, self._keys), row)
        return values

    def _merged(self, latest: PropertyValue | None, row: int) -> Any:
        if latest is None:
            return self._trained[row]
        if self._values.dtype.kind != "f":
            return latest
        try:
            return float(latest)
        except ValueError:
            return self._trained[row]


class _LazyColumns(Mapping[str, Column]):
    """Columns that are computed when a filter reads them."""

    def __init__(self, names: Sequence[str], column: Callable[[str], Column]) -> None:
        self._names = dict.fromkeys(names)
        self._column = column

    def __getitem__(self, name: str) -> Column:
        return self._column(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
