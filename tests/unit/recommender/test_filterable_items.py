"""Items as filters see them: the shop overrides the training data by field; masks are cached."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.filterable_items import FilterableItems
from services.recommender.domain.properties import (
    decode_properties,
    encode_properties,
    flat_properties,
    property_value,
)
from shared.filters import Filter
from shared.models import Attributes

NOW = datetime.now(UTC)


def put(catalogue: Catalogue, item: str, fields: dict[str, Any] | None = None, **attributes: Any) -> None:
    properties = flat_properties(fields or {}, attributes)
    catalogue.put(item, None, None, available=True, as_of=datetime.now(UTC), properties=properties)


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture
def filterable_items(catalogue: Catalogue) -> FilterableItems:
    trained = {
        "CATEGORY_L1": np.array(["tea", "tea|green", None, "bolt"], object),
        "PRICE": np.array([1.0, 2.0, np.nan, 4.0]),
        "STYLE": np.array(["a", "b", "a", None], object),
    }
    ids = ["w", "x", "y", "z"]
    rows = {item: row for row, item in enumerate(ids)}
    return FilterableItems(ids, rows, Attributes.of(trained), catalogue)


def passing(filterable_items: FilterableItems, expression: str, now: float = 0.0) -> list[str]:
    filter_ = Filter.parse(expression)
    names = [name for of, name in filter_.fields if of == "ITEMS"]
    mask = filter_.bind({}).mask(filterable_items.table(names, now))
    return [item for item, passes in zip(filterable_items.ids, mask, strict=True) if passes]


def test_properties_are_flat_and_found_by_any_spelling() -> None:
    properties = decode_properties(
        encode_properties(
            {"category": "tea", "price": 3, "created_at": NOW, "currency": None},
            {
                "Fair Trade": True,
                "sizes": ["s", "m"],
                "CATEGORY_L1": "put",
                "nested": {"a": 1},
                "gone": None,
            },
        )
    )
    assert properties == {
        "category": "tea",
        "price": 3.0,
        "created_at": NOW.timestamp(),
        "fairtrade": "true",
        "sizes": "s|m",
        "categoryl1": "put",
    }
    assert property_value(properties, "item", "CATEGORY_L1") == "put", (
        "what was put as a column is that column"
    )
    assert property_value(properties, "item", "category") == "tea"
    assert encode_properties({"city": None}, {}) == b""


def test_values_of_the_training_data_apply_without_a_value_of_the_shop(
    filterable_items: FilterableItems,
) -> None:
    assert passing(filterable_items, 'INCLUDE ItemID WHERE Items.CATEGORY_L1 IN ("tea")') == ["w", "x"]
    assert passing(filterable_items, "INCLUDE ItemID WHERE Items.PRICE > 1") == ["x", "z"]
    assert passing(filterable_items, 'EXCLUDE ItemID WHERE Items.STYLE IN ("a")') == ["x", "z"]


def test_values_of_the_shop_override_field_by_field_and_add_columns(
    filterable_items: FilterableItems, catalogue: Catalogue
) -> None:
    put(catalogue, "w", {"category": "bolt", "price": 9.0}, season="spring")
    put(catalogue, "y", {"price": 5.0}, season="spring|summer", style=7)
    assert passing(filterable_items, 'INCLUDE ItemID WHERE Items.CATEGORY_L1 = "bolt"') == ["w", "z"]
    assert passing(filterable_items, "INCLUDE ItemID WHERE Items.PRICE >= 4") == ["w", "y", "z"]
    assert passing(filterable_items, 'INCLUDE ItemID WHERE Items.SEASON = "spring"') == ["w", "y"]
    assert passing(filterable_items, 'INCLUDE ItemID WHERE Items.STYLE = "a"') == ["w"]
    assert filterable_items.cells("w", ["PRICE", "STYLE", "category"]) == {
        "PRICE": 9.0,
        "STYLE": "a",
        "category": "bolt",
    }
    assert filterable_items.cells("nobody", ["PRICE"]) == {}
    assert (filterable_items.column("category"), filterable_items.column("SEASON")) == ("CATEGORY_L1", None)


def test_a_removed_value_of_the_shop_restores_that_of_the_training_data(
    filterable_items: FilterableItems, catalogue: Catalogue
) -> None:
    put(catalogue, "w", {"price": 9.0})
    assert passing(filterable_items, "INCLUDE ItemID WHERE Items.PRICE > 8") == ["w"]
    catalogue.remove("w")
    assert (
        passing(
            filterable_items, "INCLUDE ItemID WHERE Items.PRICE > 8", now=filterable_items.refresh_seconds
        )
        == []
    )
    assert passing(
        filterable_items, "INCLUDE ItemID WHERE Items.PRICE < 2", now=filterable_items.refresh_seconds
    ) == ["w"]


def test_a_value_of_the_shop_that_is_no_number_is_ignored_in_a_numeric_column(
    filterable_items: FilterableItems, catalogue: Catalogue
) -> None:
    put(catalogue, "w", {}, price="dear")
    put(catalogue, "x", {}, price="8.5")
    assert passing(filterable_items, "INCLUDE ItemID WHERE Items.PRICE > 0") == ["w", "x", "z"]
    assert passing(filterable_items, "INCLUDE ItemID WHERE Items.PRICE > 8") == ["x"]


def test_changes_apply_after_the_refresh_interval_and_masks_are_computed_once(
    filterable_items: FilterableItems, catalogue: Catalogue
) -> None:
    made = []

    def mask(now: float) -> Any:
        table = filterable_items.table(["PRICE"], now)
        return filterable_items.mask(
            "dear", table, lambda table: made.append(1) or table.column("price").numbers > 3
        )

    assert mask(0.0).tolist() == [False, False, False, True]
    put(catalogue, "w", {"price": 9.0})
    assert mask(filterable_items.refresh_seconds / 2).tolist() == [False, False, False, True]
    assert mask(filterable_items.refresh_seconds).tolist() == [True, False, False, True]
    assert mask(10 * filterable_items.refresh_seconds).tolist() == [True, False, False, True]
    assert len(made) == 2


def test_items_are_distinguished_by_their_ids(filterable_items: FilterableItems) -> None:
    assert passing(filterable_items, 'EXCLUDE ItemID WHERE Items.ITEM_ID IN ("w", "y")') == ["x", "z"]
    assert passing(
        filterable_items, 'INCLUDE ItemID WHERE Items.itemId = "z" | EXCLUDE ItemID WHERE Items.PRICE < 2'
    ) == ["z"]
