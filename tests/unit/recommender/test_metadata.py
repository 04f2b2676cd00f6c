"""metadataColumns: how values of items are written, from either source."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from services.engine.training.recipes import Dataset
from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.deployed_campaign import DeployedCampaign
from services.recommender.domain.filterable_items import FilterableItems
from services.recommender.domain.properties import flat_properties
from services.recommender.serving.metadata import ItemMetadata
from services.recommender.serving.targets import Target
from shared.aws import WireError
from shared.events import RecipeTraits
from shared.models import Attributes
from tests.unit.recommender.test_deployed import announced

NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def filterable_items(catalogue: Catalogue, *, has_kinds: bool = True) -> FilterableItems:
    """Return the items of a model that was trained on one item, with a column of each type."""
    items = pa.table(
        {
            "ITEM_ID": ["i"],
            "PRICE": pa.array([200.0], pa.float32()),
            "WEIGHT": pa.array([130.1], pa.float32()),
            "MARGIN": pa.array([3.0], pa.float64()),
            "YEAR": pa.array([2007], pa.int32()),
            "CREATION_TIMESTAMP": pa.array([1_700_000_000], pa.int64()),
            "VEGAN": [True],
            "PRODUCT_NOTE": ["note 7"],
        }
    )
    interactions = pa.table({"USER_ID": ["u"], "ITEM_ID": ["i"], "TIMESTAMP": [1]})
    dataset = Dataset.from_arrow(interactions, items)
    kinds = dataset.kinds["ITEMS"] if has_kinds else None
    return FilterableItems(["i"], {"i": 0}, Attributes.of(dataset.item_columns, kinds), catalogue)


def metadata(filterable_items: FilterableItems, *names: str) -> dict[str, str]:
    return ItemMetadata(filterable_items, [filterable_items.column(name) or "" for name in names]).about("i")


def test_names_are_in_lower_case_and_floats_have_their_fraction() -> None:
    assert metadata(filterable_items(Catalogue()), "PRODUCT_NOTE", "PRICE") == {
        "product_note": "note 7",
        "price": "200.0",
    }
    assert metadata(
        filterable_items(Catalogue()), "weight", "Margin", "year", "creationTimestamp", "VEGAN", "productNote"
    ) == {
        "weight": "130.1",
        "margin": "3.0",
        "year": "2007",
        "creation_timestamp": "1700000000",
        "vegan": "true",
        "product_note": "note 7",
    }


@pytest.mark.parametrize("price", [180, 180.0])
def test_later_values_of_the_shop_are_written_the_same_way(price: float) -> None:
    catalogue = Catalogue()
    properties = flat_properties({"price": price, "created_at": NOW}, {"Year": 2008})
    catalogue.put("i", None, None, available=True, as_of=NOW, properties=properties)

    assert metadata(filterable_items(catalogue), "PRICE", "YEAR", "CREATION_TIMESTAMP") == {
        "price": "180.0",
        "year": "2008",
        "creation_timestamp": "1700000000",
    }


def test_a_model_of_an_earlier_release_shows_whole_values_without_a_fraction() -> None:
    known = metadata(filterable_items(Catalogue(), has_kinds=False), "PRICE", "YEAR")

    assert known == {"price": "200", "year": "2007"}


def target(*, by_default: bool, **config: object) -> Target:
    """Return a campaign of a recipe that states whether its campaigns have metadata."""
    traits = RecipeTraits(metadata_by_default=by_default)
    campaign = announced("shop", **config).model_copy(update={"traits": traits})
    return Target("shop", "popularity", DeployedCampaign(campaign, None, filterable_items(Catalogue())))


@pytest.mark.parametrize(
    ("by_default", "config"),
    [
        (True, {}),
        (True, {"enableMetadataWithRecommendations": True}),
        (False, {"enableMetadataWithRecommendations": True}),
    ],
)
def test_campaigns_have_metadata_by_their_recipe_or_their_configuration(
    config: dict[str, object], *, by_default: bool
) -> None:
    metadata = ItemMetadata.of(target(by_default=by_default, **config), ["PRICE"], Catalogue())

    assert metadata.about("i") == {"price": "200.0"}


@pytest.mark.parametrize(
    ("by_default", "config"), [(False, {}), (True, {"enableMetadataWithRecommendations": False})]
)
def test_other_campaigns_have_no_metadata(config: dict[str, object], *, by_default: bool) -> None:
    with pytest.raises(WireError, match="enableMetadataWithRecommendations"):
        ItemMetadata.of(target(by_default=by_default, **config), ["PRICE"], Catalogue())


def test_lists_without_a_campaign_have_no_metadata() -> None:
    with pytest.raises(WireError, match="Metadata needs a campaign"):
        ItemMetadata.of(Target("shop", "popularity"), ["PRICE"], Catalogue())
