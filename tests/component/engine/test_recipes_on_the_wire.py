"""Recipes as Amazon Personalize lists and describes them, and what a solution may ask of them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from services.engine.training.recipes import RECIPES

if TYPE_CHECKING:
    from tests.component.engine.conftest import Engine

PREFIX = "arn:aws:personalize:::"


@pytest.fixture(scope="module")
def group(engine: Engine) -> str:
    name = f"recipes-{uuid.uuid4().hex[:8]}"
    created: str = engine.personalize.create_dataset_group(name=name)["datasetGroupArn"]
    fields = [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "NAME", "type": "string", "textual": True},
        {"name": "PRICE", "type": "float"},
    ]
    schema = {
        "type": "record",
        "name": "Items",
        "namespace": "com.amazonaws.personalize.schema",
        "fields": fields,
        "version": "1.0",
    }
    engine.personalize.create_dataset(
        name=f"{name}-items",
        datasetGroupArn=created,
        datasetType="Items",
        schemaArn=engine.personalize.create_schema(name=name, schema=json.dumps(schema))["schemaArn"],
    )
    return created


def refused(engine: Engine, group: str, recipe: str, **solution: Any) -> str:
    with pytest.raises(ClientError) as caught:
        engine.personalize.create_solution(
            name=f"s-{uuid.uuid4().hex[:8]}",
            datasetGroupArn=group,
            recipeArn=f"{PREFIX}recipe/{recipe}",
            **solution,
        )
    assert caught.value.response["Error"]["Code"] == "InvalidInputException"
    return str(caught.value)


def test_every_recipe_is_listed_once_and_described(engine: Engine) -> None:
    pages = engine.personalize.get_paginator("list_recipes").paginate(PaginationConfig={"PageSize": 5})
    listed = [summary for page in pages for summary in page["recipes"]]
    assert [summary["name"] for summary in listed] == sorted(RECIPES)
    for summary in listed:
        recipe = RECIPES[summary["name"]]
        assert summary["recipeArn"] == f"{PREFIX}recipe/{recipe.name}"
        assert summary.get("domain") == recipe.domain
        described = engine.personalize.describe_recipe(recipeArn=summary["recipeArn"])["recipe"]
        assert described["recipeType"] == recipe.recipe_type
        assert described["algorithmArn"].startswith(f"{PREFIX}algorithm/aws-") or "endcap" in recipe.name


def test_a_domain_lists_its_own(engine: Engine) -> None:
    def names(**arguments: str) -> set[str]:
        return {summary["name"] for summary in engine.personalize.list_recipes(**arguments)["recipes"]}

    assert names(domain="ECOMMERCE") == {name for name, recipe in RECIPES.items() if recipe.domain}
    assert names(domain="VIDEO_ON_DEMAND") == set()
    assert names(recipeProvider="SERVICE") == set(RECIPES)


def test_the_first_page_of_a_domain_has_a_token_and_pages_end(engine: Engine) -> None:
    own = {name for name, recipe in RECIPES.items() if recipe.domain}
    first = engine.personalize.list_recipes(domain="ECOMMERCE")
    second = engine.personalize.list_recipes(domain="ECOMMERCE", nextToken=first["nextToken"])
    pages = engine.personalize.get_paginator("list_recipes").paginate(
        domain="ECOMMERCE", PaginationConfig={"PageSize": 2}
    )

    assert {recipe["name"] for recipe in first["recipes"]} == own
    assert second["recipes"] == []
    assert "nextToken" not in second
    assert {recipe["name"] for page in pages for recipe in page["recipes"]} == own


@pytest.mark.parametrize(
    ("name", "kind", "transformation"),
    [
        ("aws-user-personalization", "USER_PERSONALIZATION", "aws-user-personalization"),
        ("aws-personalized-ranking", "PERSONALIZED_RANKING", "JSON-percentile-filtering"),
        ("aws-hrnn", "USER_PERSONALIZATION", "JSON-percentile-filtering"),
        ("aws-popularity-count", "USER_PERSONALIZATION", "sims"),
    ],
)
def test_arns_are_those_of_the_guide(engine: Engine, name: str, kind: str, transformation: str) -> None:
    recipe = engine.personalize.describe_recipe(recipeArn=f"{PREFIX}recipe/{name}")["recipe"]
    assert recipe["recipeType"] == kind
    assert recipe["algorithmArn"] == f"{PREFIX}algorithm/{name}"
    assert recipe["featureTransformationArn"] == f"{PREFIX}feature-transformation/{transformation}"
    assert recipe["status"] == "ACTIVE"


def test_next_best_action_is_declined(engine: Engine, group: str) -> None:
    assert "not supported by Endcap" in refused(engine, group, "aws-next-best-action")


@pytest.mark.parametrize(
    ("recipe", "config", "sentence"),
    [
        ("aws-hrnn", {"algorithmHyperParameters": {"bptt": "64"}}, "bptt must be a whole number from 2"),
        ("aws-similar-items", {"algorithmHyperParameters": {"bptt": "8"}}, "has no hyperparameter bptt"),
        ("aws-popularity-count", {"eventValueThreshold": "much"}, "is not a number"),
        (
            "aws-popularity-count",
            {"optimizationObjective": {"itemAttribute": "PRICE"}},
            "has no optimizationObjective",
        ),
        (
            "aws-user-personalization",
            {"optimizationObjective": {"itemAttribute": "NAME", "objectiveSensitivity": "LOW"}},
            "the column NAME is textual",
        ),
        (
            "aws-user-personalization",
            {"trainingDataConfig": {"excludedDatasetColumns": {"Items": ["COLOUR"]}}},
            "has no columns ['COLOUR']",
        ),
        (
            "aws-trending-now",
            {"featureTransformationParameters": {"trend_discovery_frequency": "2 hours"}},
            "must be one of 3 hours, 30 minutes, 1 hour, 1 day",
        ),
        ("aws-sims", {"algorithmHyperParameters": {"min_cointeraction_count": "11"}}, "from 0 to 10"),
        ("aws-ecomm-recommended-for-you", {}, "make a recommender of it"),
    ],
)
def test_a_wrong_configuration_is_refused_before_training(
    engine: Engine, group: str, recipe: str, config: dict[str, Any], sentence: str
) -> None:
    assert sentence in refused(engine, group, recipe, solutionConfig=config)


def test_what_programs_for_the_service_set_is_taken(engine: Engine, group: str) -> None:
    config = {
        "algorithmHyperParameters": {"hidden_dimension": "149", "bptt": "32", "recency_mask": "true"},
        "featureTransformationParameters": {"max_user_history_length_percentile": "0.99"},
        "optimizationObjective": {"itemAttribute": "PRICE", "objectiveSensitivity": "MEDIUM"},
        "trainingDataConfig": {"excludedDatasetColumns": {"Items": ["NAME"]}},
        "hpoConfig": {"hpoResourceConfig": {"maxNumberOfTrainingJobs": "2", "maxParallelTrainingJobs": "1"}},
    }
    solution = engine.personalize.create_solution(
        name=f"s-{uuid.uuid4().hex[:8]}",
        datasetGroupArn=group,
        recipeArn=f"{PREFIX}recipe/aws-user-personalization",
        performHPO=True,
        solutionConfig=config,
    )["solutionArn"]
    described = engine.personalize.describe_solution(solutionArn=solution)["solution"]
    assert described["solutionConfig"] == config
    assert described["performHPO"] is True
