"""The items of a model or a list as filters see them: what training knew, and what the shop says since."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.recommender.domain.facts import Value, keys_of, spelled
from shared.events.spellings import columns_of_fields, folded
from shared.filters import Table
from shared.models import Attributes

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue
    from shared.models.attributes import NumberKind

Mask = NDArray[np.bool_]
Column = NDArray[Any]

KEPT_MASKS = 256
ITEMS_PER_SECOND = 10_000
"""How long news may wait: a second for a small catalogue, ten for one of a hundred thousand items."""


class FilterableItems:
    """Items in a fixed order, with their attributes, and the masks that filters made of them.

    The shop's word on a field overrides training's. It is looked at again when the catalogue has changed,
    but not more often than every `patience` seconds: what filters index must be indexed anew.
    """

    def __init__(
        self,
        ids: Sequence[str],
        rows: Mapping[str, int],
        attributes: Attributes,
        catalogue: Catalogue,
    ) -> None:
        """`rows` says where in `ids` each id is."""
        self.ids = ids
        self.rows = rows
        self.patience = max(1.0, len(ids) / ITEMS_PER_SECOND)
        self._attributes = attributes
        self._catalogue = catalogue
        self._columns: dict[str, _Overlaid] = {}
        self._asked: dict[str, None] = {}
        self._masks: OrderedDict[Hashable, Mask] = OrderedDict()
        self._table: Table | None = None
        self._version = -1
        self._looks_at = 0.0

    def table(self, names: Sequence[str], now: float) -> Table:
        """The items as a table that has columns of these names, as far as anybody knows them."""
        # The id is no column: a table knows its rows by it.
        wanted = (name for name in names if folded(name) != "itemid")
        unknown = [name for name in wanted if name not in self._asked]
        if unknown or self._table is None or self._is_old(now):
            self._asked |= dict.fromkeys(unknown)
            self._version, self._looks_at = self._catalogue.version, now + self.patience
            self._masks.clear()
            self._table = Table(self.ids, _Columns([*self._attributes.columns, *self._asked], self._column))
        return self._table

    def mask(self, key: Hashable, table: Table, make: Callable[[Table], Mask]) -> Mask:
        """The mask of that name, made once per state of the catalogue. Nobody may change it."""
        found = self._masks.get(key)
        if found is None:
            found = self._masks[key] = make(table)
            if len(self._masks) > KEPT_MASKS:
                self._masks.popitem(last=False)
        return found

    def column(self, name: str) -> str | None:
        """Return the training data's own spelling of a column; None where it had none of that name."""
        return spelled("item", name, self._attributes.columns)

    def kind(self, column: str) -> NumberKind | None:
        """Return what a column of numbers is in the dataset; None for texts and where nobody knows."""
        return self._attributes.kinds.get(column)

    def cells(self, item_id: str, names: Sequence[str]) -> dict[str, Value]:
        """Some attributes of one item; those that nobody knows are left out."""
        facts = self._catalogue.facts(item_id)
        row, found = self.rows.get(item_id), {}
        for name in names:
            value = next((facts[key] for key in self._keys(name) if key in facts), None)
            if value is None and row is not None:
                value = self._attributes.value(self._trained(name), row)
            if value is not None:
                found[name] = value
        return found

    def _is_old(self, now: float) -> bool:
        return self._version != self._catalogue.version and now >= self._looks_at

    def _trained(self, name: str) -> str:
        """The training data's own spelling of a column."""
        if name in self._attributes.columns:
            return name
        return self.column(name) or name

    def _keys(self, name: str) -> tuple[str, ...]:
        """Return the keys of the facts of a column; a field is one of the column that stands for it alone."""
        column, columns = self._trained(name), self._attributes.columns
        keys = keys_of("item", column)
        if column in columns and column not in columns_of_fields("item", columns).values():
            return keys[:1]
        return keys

    def _column(self, name: str) -> Column:
        overlaid = self._columns.get(name)
        if overlaid is None:
            values = self._attributes.values(self._trained(name))
            if values is None:
                values = np.full(len(self.ids), None, object)
            overlaid = self._columns[name] = _Overlaid(self._keys(name), values)
        return overlaid.look(self.ids, self._catalogue)


class _Overlaid:
    """A column of the training data under what the shop says; only what changed is read again."""

    def __init__(self, keys: tuple[str, ...], trained: Column) -> None:
        self._keys = keys
        self._trained = trained
        self._values = trained.copy()
        self._seen: list[bytes] = [b""] * len(trained)

    def look(self, ids: Sequence[str], catalogue: Catalogue) -> Column:
        mark, seen, values = catalogue.mark, self._seen, self._values
        for row, item_id in enumerate(ids):
            latest = mark(item_id)
            if latest is not seen[row]:
                seen[row] = latest
                values[row] = self._merged(catalogue.fact(item_id, self._keys), row)
        return values

    def _merged(self, told: Value | None, row: int) -> Any:
        if told is None:
            return self._trained[row]
        if self._values.dtype.kind != "f":
            return told
        try:
            return float(told)
        except ValueError:
            return self._trained[row]


class _Columns(Mapping[str, Column]):
    """Columns that are put together when a filter asks for them."""

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
