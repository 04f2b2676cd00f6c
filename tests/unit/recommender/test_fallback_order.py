"""A short list goes on with the category, then the region, then everywhere."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest

from services.recommender.domain.activations import Activation, ActiveGenerations
from services.recommender.domain.catalogue_index import first_category
from services.recommender.domain.recipes import POPULARITY, SIMILAR
from services.recommender.serving.precomputed import PrecomputedRecommendations
from services.recommender.store.popularity_lists import PopularityLists
from tests.unit.recommender.placement_shop import GENERATION, TENANT, Shop, ranked

GRAZ = ("Graz", None, "Austria")


@pytest.fixture
def active() -> ActiveGenerations:
    made = ActiveGenerations()
    made.activate(TENANT, Activation(1, dict.fromkeys((SIMILAR, POPULARITY), GENERATION)))
    return made


@pytest.fixture
def shop() -> Shop:
    """The odd items are tea, the even ones coffee."""
    popular = {"all": ranked(8, 9), "category:tea": ranked(5, 3), "country:Austria": ranked(7)}
    return Shop(lists={(SIMILAR, "i1"): ranked(2)}, popular=popular)


async def test_the_lists_are_the_category_the_nearest_area_and_everywhere(
    shop: Shop, active: ActiveGenerations
) -> None:
    popularity = PopularityLists(cast("Any", shop), active)

    async def first_items(*arguments: Any) -> list[str]:
        return [each.items[0][0] for each in await popularity.chain(TENANT, *arguments) if each.items]

    assert await first_items("tea", GRAZ) == ["i5", "i7", "i8"]
    assert await first_items(None, GRAZ) == ["i7", "i8"]
    assert await first_items("unknown", None) == ["i8"]
    # A location without a list of its own is everywhere, once.
    assert len(await popularity.chain(TENANT, None, ("Wien", None, None))) == 1


async def test_a_list_of_an_item_goes_on_with_its_category(shop: Shop, active: ActiveGenerations) -> None:
    store = cast("Any", shop)
    popularity = PopularityLists(store, active)
    precomputed = PrecomputedRecommendations(store, popularity, store, active, store, store, store, store)

    encoded = await precomputed.for_item(TENANT, "i1", 5, SIMILAR)

    rows = [orjson.loads(row) for row in encoded.items]
    assert [row["product_id"] for row in rows] == ["i2", "i5", "i3", "i8", "i9"]
    assert encoded.source == b"redis"


async def test_an_item_without_a_list_has_the_source_of_popular_items(
    shop: Shop, active: ActiveGenerations
) -> None:
    store = cast("Any", shop)
    popularity = PopularityLists(store, active)
    precomputed = PrecomputedRecommendations(store, popularity, store, active, store, store, store, store)

    encoded = await precomputed.for_item(TENANT, "i3", 2, SIMILAR)

    assert [orjson.loads(row)["product_id"] for row in encoded.items] == ["i5", "i8"]
    assert (encoded.source, encoded.generation) == (b"popular", GENERATION)


@pytest.mark.parametrize(
    ("value", "name"), [("tea", "tea"), (" | tea |coffee", "tea"), ("", None), (None, None), (3.0, None)]
)
def test_the_first_category_is_the_items_own(value: Any, name: str | None) -> None:
    assert first_category(value) == name
