"""The index of a catalogue follows its changes, and is what a new one of the same catalogue would be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.catalogue_index import REFRESH_SECONDS, CatalogueIndex, categories_of

START = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from(["put", "hide", "remove"]),
        st.sampled_from([None, "tea", "Tea|Gifts", "gifts"]),
        st.none() | st.integers(0, 3),
    ),
    max_size=12,
)


def put(
    catalogue: Catalogue, item_id: str, number: int = 0, *, available: bool = True, **properties: Any
) -> None:
    known = {name: value for name, value in properties.items() if value is not None}
    as_of = START + timedelta(seconds=number)
    catalogue.put(item_id, item_id, 1.0, available=available, as_of=as_of, properties=known)


def test_items_come_newest_first_and_those_without_a_time_only_in_their_category() -> None:
    catalogue = Catalogue()
    put(catalogue, "old", created_at=1.0, category="tea")
    put(catalogue, "new", created_at=2.0, category="Tea | gifts")
    put(catalogue, "undated", category="tea")
    index = CatalogueIndex(catalogue)

    assert index.newest(None, 5, 0.0) == [("new", 2.0), ("old", 1.0)]
    assert index.newest("GIFTS", 5, 0.0) == [("new", 2.0)]
    assert index.of_category("tea", 5, 0.0) == ["new", "old", "undated"]
    assert index.of_category("tea", 1, 0.0) == ["new"]
    assert index.of_category("none", 5, 0.0) == []


def test_changes_are_taken_at_most_once_a_second_but_withdrawn_items_leave_at_once() -> None:
    catalogue = Catalogue()
    put(catalogue, "a", created_at=1.0)
    index = CatalogueIndex(catalogue)
    index.newest(None, 5, 0.0)
    put(catalogue, "b", created_at=2.0)
    put(catalogue, "a", 1, available=False, created_at=1.0)

    assert index.newest(None, 5, REFRESH_SECONDS / 2) == []
    assert index.newest(None, 5, REFRESH_SECONDS) == [("b", 2.0)]


@settings(deadline=None)
@given(CHANGES)
def test_the_index_is_that_of_the_present_catalogue(changes: list[tuple[str, str, Any, Any]]) -> None:
    catalogue = Catalogue()
    index, now = CatalogueIndex(catalogue), 0.0
    for number, (item_id, change, category, created_at) in enumerate(changes, 1):
        if change == "remove":
            catalogue.remove(item_id)
        else:
            put(
                catalogue,
                item_id,
                number,
                available=change == "put",
                category=category,
                created_at=created_at,
            )
        if number % 2:
            index.newest(None, 1, now)
            now += REFRESH_SECONDS
    now += REFRESH_SECONDS

    kept = {category: index.of_category(category, 9, now) for category in ("tea", "gifts")}
    newest = index.newest(None, 9, now)
    catalogue.changed_items = None
    rebuilt = CatalogueIndex(catalogue)

    assert newest == rebuilt.newest(None, 9, now)
    assert kept == {category: rebuilt.of_category(category, 9, now) for category in ("tea", "gifts")}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ()), (3.0, ()), (" Tea ", ("tea",)), ("a|B||a", ("a", "b"))],
)
def test_categories_compare_without_case(value: Any, expected: tuple[str, ...]) -> None:
    assert categories_of(value) == expected
