"""The items of a catalogue by age, of all categories and of each."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import islice
from typing import NamedTuple

from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.properties import PropertyValue, property_keys, property_value

REFRESH_SECONDS = 1.0
"""The index takes changes of the catalogue at most this often."""

CATEGORY = property_keys("item", "CATEGORY")
"""The keys of an item's category."""


class DatedItem(NamedTuple):
    """An item and its age: `age_order` is its creation time in epoch seconds, negated; 0 if unknown."""

    age_order: float
    item_id: str


class _Entry(NamedTuple):
    dated: DatedItem
    categories: tuple[str, ...]


class CatalogueIndex:
    """The items for sale, newest first. It follows the catalogue: only changed items are read again."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._entries: dict[str, _Entry] = {}
        self._newest: list[DatedItem] = []
        self._by_category: dict[str, list[DatedItem]] = {}
        self._next_refresh = 0.0

    def newest(self, category: str | None, limit: int, now: float) -> list[tuple[str, float]]:
        """Return the items with a creation time (epoch seconds), newest first; of a category if it is given.

        `now` is the time in seconds of a clock that never goes back.
        """
        dated = self._items(category, now)
        known = (item for item in dated if item.age_order and self._is_for_sale(item.item_id))
        return [(item_id, -age_order) for age_order, item_id in islice(known, limit)]

    def of_category(self, category: str, limit: int, now: float) -> list[str]:
        """Return items of a category: newest first, then those without a creation time."""
        dated = self._items(category, now)
        return [
            item.item_id
            for item in islice((item for item in dated if self._is_for_sale(item.item_id)), limit)
        ]

    def _items(self, category: str | None, now: float) -> list[DatedItem]:
        if now >= self._next_refresh:
            self._refresh(now)
        return self._newest if category is None else self._by_category.get(category.casefold(), [])

    def _is_for_sale(self, item_id: str) -> bool:
        return not self._catalogue.is_withdrawn(item_id)

    def _refresh(self, now: float) -> None:
        self._next_refresh = now + REFRESH_SECONDS
        changed = self._catalogue.changed_items
        if changed is None:
            self._catalogue.changed_items = set()
            self._build()
        elif changed:
            self._catalogue.changed_items = set()
            for item_id in changed:
                self._remove(item_id)
                self._insert(item_id)

    def _build(self) -> None:
        for item_id in self._catalogue.item_ids:
            entry = self._read(item_id)
            if entry is not None:
                self._entries[item_id] = entry
                for items in self._lists(entry):
                    items.append(entry.dated)
        self._newest.sort()
        for items in self._by_category.values():
            items.sort()

    def _insert(self, item_id: str) -> None:
        entry = self._read(item_id)
        if entry is not None:
            self._entries[item_id] = entry
            for items in self._lists(entry):
                insort(items, entry.dated)

    def _remove(self, item_id: str) -> None:
        entry = self._entries.pop(item_id, None)
        if entry is not None:
            for items in self._lists(entry):
                del items[bisect_left(items, entry.dated)]
            for category in entry.categories:
                if not self._by_category[category]:
                    del self._by_category[category]

    def _read(self, item_id: str) -> _Entry | None:
        """Return the entry of an item; None for one that cannot be sold."""
        if self._catalogue.is_withdrawn(item_id):
            return None
        properties = self._catalogue.properties(item_id)
        age_order = -_seconds(property_value(properties, "item", "CREATION_TIMESTAMP"))
        category = property_value(properties, "item", "CATEGORY")
        return _Entry(DatedItem(age_order, item_id), categories_of(category))

    def _lists(self, entry: _Entry) -> list[list[DatedItem]]:
        by_category = self._by_category
        return [self._newest, *(by_category.setdefault(name, []) for name in entry.categories)]


def categories_of(value: PropertyValue | None) -> tuple[str, ...]:
    """Return the names of an item's categories, folded for comparison; `|` separates several."""
    if not isinstance(value, str):
        return ()
    return tuple(dict.fromkeys(name for part in value.split("|") if (name := part.strip().casefold())))


def first_category(value: PropertyValue | None) -> str | None:
    """Return the first of an item's categories, as it is spelled; None if it has none."""
    if not isinstance(value, str):
        return None
    return next((name for part in value.split("|") if (name := part.strip())), None)


def _seconds(value: PropertyValue | None) -> float:
    try:
        return max(0.0, float(value or 0.0))
    except ValueError:
        return 0.0
