"""A campaign is served by the traits of its recipe, whatever the recipe's name."""

from __future__ import annotations

import numpy as np
import pytest

from services.recommender.domain.deployed_campaign import DeployedCampaign
from services.recommender.serving.targets import Target
from shared.aws import WireError
from shared.events import CampaignChanged, RecipeTraits
from shared.models import Histories, Ids, Model, Scoring, SeenItems
from shared.models.traits import earlier_traits
from tests.unit.recommender.test_deployed import announced

UNKNOWN = "acme-own-recipe"


def campaign(recipe: str, traits: RecipeTraits | None = None) -> CampaignChanged:
    return announced("shop").model_copy(update={"recipe": recipe, "traits": traits})


def model(recipe: str, traits: RecipeTraits | None) -> Model:
    nothing = np.zeros(0, np.int32)
    return Model(
        recipe=recipe,
        scoring=Scoring(kind="item", scored=False),
        items=Ids.of(["hat"]),
        users=Ids.of([]),
        popularity=np.ones(1, np.float32),
        histories=Histories(np.zeros(1, np.int64), nothing, np.zeros(0, np.int16), np.zeros(0, np.int64)),
        older=SeenItems(np.zeros(1, np.int64), nothing),
        traits=traits,
    )


def target(deployed: DeployedCampaign) -> Target:
    return Target("shop", deployed.traits.list_recipe, deployed)


def test_an_unknown_recipe_has_the_traits_of_its_campaign() -> None:
    traits = RecipeTraits(
        needs_user=True,
        ranks_only=True,
        explores=True,
        list_recipe="similar-items",
        metadata_by_default=True,
    )

    deployed = DeployedCampaign(campaign(UNKNOWN, traits))

    assert deployed.traits == traits
    assert target(deployed).only_ranks
    assert target(deployed).kind == "item"
    with pytest.raises(WireError, match="userId is required"):
        target(deployed).check(None, "hat")
    target(deployed).check("anna", "hat")


def test_a_campaign_without_traits_has_those_of_its_model() -> None:
    traits = RecipeTraits(ranks_only=True, list_recipe="user-personalization", metadata_by_default=False)

    assert DeployedCampaign(campaign(UNKNOWN), model(UNKNOWN, traits)).traits == traits


def test_traits_of_the_campaign_come_before_those_of_the_model() -> None:
    traits = RecipeTraits(ranks_only=True, metadata_by_default=False)

    deployed = DeployedCampaign(campaign(UNKNOWN, traits), model(UNKNOWN, RecipeTraits(explores=True)))

    assert deployed.traits == traits


@pytest.mark.parametrize(
    ("recipe", "lists", "ranks", "explores"),
    [
        ("aws-user-personalization", "user-personalization", False, True),
        ("aws-personalized-ranking", "user-personalization", True, False),
        ("endcap-next-basket", "user-personalization", False, False),
        ("endcap-graph", "user-personalization", False, False),
        ("endcap-session", "popularity", False, False),
        ("aws-similar-items", "similar-items", False, False),
        ("endcap-item-affinity", "item-affinity", False, False),
        ("aws-popularity-count", "popularity", False, False),
        (UNKNOWN, "popularity", False, False),
    ],
)
def test_campaigns_and_models_from_before_traits_are_served_as_they_were(
    recipe: str, lists: str, *, ranks: bool, explores: bool
) -> None:
    deployed = DeployedCampaign(campaign(recipe), model(recipe, None))

    assert deployed.traits.list_recipe == lists
    assert (target(deployed).only_ranks, deployed.traits.explores) == (ranks, explores)


def test_items_that_customers_viewed_too_need_a_user_without_traits() -> None:
    recipe = "aws-ecomm-customers-who-viewed-x-also-viewed"

    with pytest.raises(WireError, match="userId is required"):
        target(DeployedCampaign(campaign(recipe))).check(None, "hat")


@pytest.mark.parametrize("recipe", ["aws-user-personalization-v2", "aws-personalized-ranking-v2"])
@pytest.mark.parametrize("traits", [None, RecipeTraits(ranks_only=True)])
def test_metadata_that_traits_do_not_state_is_that_of_an_earlier_release(
    recipe: str, traits: RecipeTraits | None
) -> None:
    deployed = DeployedCampaign(campaign(recipe, traits))

    assert deployed.traits.metadata_by_default is True
    assert deployed.traits.ranks_only == (traits or earlier_traits(recipe)).ranks_only


def test_metadata_that_traits_state_comes_before_that_of_an_earlier_release() -> None:
    traits = RecipeTraits(metadata_by_default=False)

    assert DeployedCampaign(campaign("aws-user-personalization-v2", traits)).traits == traits


def test_a_recipe_of_no_earlier_release_has_no_metadata_unless_it_says_so() -> None:
    assert DeployedCampaign(campaign(UNKNOWN, RecipeTraits())).traits.metadata_by_default is False
