"""What a solution may be configured with, recipe by recipe."""

from __future__ import annotations

import pytest

from services.engine.domain import schemas
from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.recipes import RECIPES
from services.engine.training.recipes.configuration import accepted_hyperparameters, check, check_columns
from services.engine.training.recipes.recipe import Interval, Recipe
from shared.errors import Permanent
from tests.support.training import training_config


def hyperparameters(**given: str) -> TrainingConfig:
    return training_config(algorithmHyperParameters=given)


@pytest.fixture(params=sorted(RECIPES))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


def test_a_recipes_own_defaults_are_allowed(recipe: Recipe) -> None:
    check(recipe, hyperparameters(**recipe.hyperparameters))
    check(
        recipe,
        training_config(featureTransformationParameters={k: v[0] for k, v in recipe.transformations.items()}),
    )
    check(recipe, TrainingConfig())


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("aws-sims", {"max_item_interaction_count_percentile": "0.9"}),
        ("aws-user-personalization", {"max_user_history_length_percentile": "0.99"}),
        (
            "aws-hrnn-coldstart",
            {
                "cold_start_max_duration": "5",
                "cold_start_relative_from": "latestItem",
                "cold_start_max_interactions": "15",
            },
        ),
    ],
)
def test_what_shapes_the_data_may_be_a_feature_transformation(name: str, given: dict[str, str]) -> None:
    check(RECIPES[name], training_config(featureTransformationParameters=given))
    for wrong in given:
        with pytest.raises(Permanent, match=f"{wrong} must be"):
            check(RECIPES[name], training_config(featureTransformationParameters={wrong: "much"}))
    with pytest.raises(Permanent, match=f"no feature transformation nosuch; it has: .*{min(given)}"):
        check(RECIPES[name], training_config(featureTransformationParameters={"nosuch": "1"}))


def test_every_hyperparameter_has_its_values(recipe: Recipe) -> None:
    assert set(recipe.allowed) <= set(recipe.hyperparameters)
    assert not set(recipe.hyperparameters) & set(recipe.without_effect)


def test_an_unknown_hyperparameter_is_refused_with_those_that_there_are(recipe: Recipe) -> None:
    with pytest.raises(Permanent, match=f"{recipe.name} has no hyperparameter nosuch; it has: ") as caught:
        check(recipe, hyperparameters(nosuch="1"))
    assert all(name in str(caught.value) for name in accepted_hyperparameters(recipe))


def test_the_ends_of_every_interval_are_allowed_and_nothing_beyond(recipe: Recipe) -> None:
    for name, allowed in accepted_hyperparameters(recipe).items():
        if not isinstance(allowed, Interval):
            continue
        for value in (allowed.low, allowed.high):
            check(recipe, hyperparameters(**{name: f"{value:g}"}))
        for value in (f"{allowed.low - 0.5}", f"{allowed.high + 0.5}", "much", "nan", "inf", ""):
            with pytest.raises(Permanent, match=f"The hyperparameter {name} must be a"):
                check(recipe, hyperparameters(**{name: value}))


def test_words_are_compared_without_case() -> None:
    check(RECIPES["aws-hrnn"], hyperparameters(recency_mask="True"))
    with pytest.raises(Permanent, match=r"recency_mask must be one of true, false, not 'yes'"):
        check(RECIPES["aws-hrnn"], hyperparameters(recency_mask="yes"))
    with pytest.raises(Permanent, match=r"bptt must be a whole number from 2 to 32, not '2\.5'"):
        check(RECIPES["aws-hrnn"], hyperparameters(bptt="2.5"))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (training_config(eventValueThreshold="much"), "eventValueThreshold 'much' is not a number"),
        (training_config(eventValueThreshold="nan"), "is not a number"),
        (
            training_config(featureTransformationParameters={"trend": "1 hour"}),
            "has no feature transformation trend; it has: max_user",
        ),
        (
            training_config(eventsConfig={"eventParametersList": [{"weight": 0.5}]}),
            "entry 0 names no eventType",
        ),
        (
            training_config(eventsConfig={"eventParametersList": [{"eventType": "a", "weight": 0.0}]}),
            "every weight is 0",
        ),
        (
            hyperparameters(
                min_user_history_length_percentile="0.9", max_user_history_length_percentile="0.1"
            ),
            "nothing lies between them",
        ),
    ],
)
def test_what_can_not_be_meant_is_refused(config: TrainingConfig, sentence: str) -> None:
    with pytest.raises(Permanent, match=sentence):
        check(RECIPES["aws-user-personalization"], config)


def test_only_recipes_for_users_have_an_objective() -> None:
    objective = training_config(
        optimizationObjective={"itemAttribute": "PRICE", "objectiveSensitivity": "LOW"}
    )
    check(RECIPES["aws-user-personalization"], objective)
    check(RECIPES["aws-personalized-ranking"], objective)
    with pytest.raises(Permanent, match="aws-similar-items has no optimizationObjective"):
        check(RECIPES["aws-similar-items"], objective)


ITEMS = schemas.Schema(
    (
        schemas.Column("ITEM_ID", "string"),
        schemas.Column("NAME", "string", textual=True),
        schemas.Column("PRICE", "float"),
        schemas.Column("WEIGHT", "double", nullable=True),
    )
)


def objective(attribute: str) -> TrainingConfig:
    return training_config(optimizationObjective={"itemAttribute": attribute, "objectiveSensitivity": "LOW"})


def columns(member: str, **chosen: list[str]) -> TrainingConfig:
    return training_config(trainingDataConfig={member: chosen})


@pytest.mark.parametrize(
    "config",
    [
        objective("PRICE"),
        objective("price"),
        columns("excludedDatasetColumns", Items=["NAME"]),
        TrainingConfig(),
    ],
)
def test_columns_that_are_there_are_taken(config: TrainingConfig) -> None:
    check_columns(config, {"ITEMS": ITEMS})


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (objective("NAME"), "the column NAME is textual; an objective needs a numeric one"),
        (objective("ITEM_ID"), "the column ITEM_ID is string"),
        (objective("WEIGHT"), "the column WEIGHT may be null"),
        (objective("COLOUR"), "the Items dataset has no column COLOUR"),
        (columns("excludedDatasetColumns", Users=["AGE"]), "has no USERS dataset; it has: ITEMS"),
        (columns("includedDatasetColumns", ITEMS=["NAME", "X"]), r"no columns \['X'\]"),
        (columns("excludedDatasetColumns", ITEMS=["ITEM_ID"]), r"can't do without \['ITEM_ID'\]"),
    ],
)
def test_columns_that_can_not_be_meant_are_refused(config: TrainingConfig, sentence: str) -> None:
    with pytest.raises(Permanent, match=sentence):
        check_columns(config, {"ITEMS": ITEMS})


def test_an_objective_needs_items() -> None:
    with pytest.raises(Permanent, match="needs an Items dataset"):
        check_columns(objective("PRICE"), {})
