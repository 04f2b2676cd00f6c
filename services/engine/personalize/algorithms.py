"""Algorithms and feature transformations: what a recipe consists of, from the table of recipes."""

from __future__ import annotations

from collections.abc import Iterator

from services.engine.personalize import catalogue
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import ArnText, Timestamp, WireModel
from services.engine.recipes import RECIPES
from services.engine.recipes.recipe import Recipe, shapes_data
from shared.aws import Arn, not_found


class AlgorithmName(WireModel):
    """Which algorithm."""

    algorithm_arn: ArnText


class Algorithm(WireModel):
    """An algorithm with the hyperparameters that it has when a solution names none."""

    name: str
    algorithm_arn: str
    default_hyper_parameters: dict[str, str]
    training_input_mode: str = "File"
    creation_date_time: Timestamp = catalogue.SINCE
    last_updated_date_time: Timestamp = catalogue.SINCE


class AlgorithmDescribed(WireModel):
    """The answer to Describe."""

    algorithm: Algorithm


class FeatureTransformationName(WireModel):
    """Which feature transformation."""

    feature_transformation_arn: ArnText


class FeatureTransformation(WireModel):
    """How a recipe reads its data."""

    name: str
    feature_transformation_arn: str
    default_parameters: dict[str, str]
    status: str = "ACTIVE"
    creation_date_time: Timestamp = catalogue.SINCE
    last_updated_date_time: Timestamp = catalogue.SINCE


class FeatureTransformationDescribed(WireModel):
    """The answer to Describe."""

    feature_transformation: FeatureTransformation


async def describe(_: OperationContext, request: AlgorithmName) -> AlgorithmDescribed:
    """Show the algorithm of a recipe."""
    name = Arn.parse(request.algorithm_arn, "algorithm").path
    recipe = next((each for each in RECIPES.values() if name == (each.algorithm or each.name)), None)
    if recipe is None:
        raise not_found(
            f"There is no algorithm with the ARN {request.algorithm_arn}; DescribeRecipe names it."
        )
    return AlgorithmDescribed(
        algorithm=Algorithm(
            name=name,
            algorithm_arn=catalogue.arn_of(name, "algorithm"),
            default_hyper_parameters=hyperparameters(recipe),
        )
    )


def hyperparameters(recipe: Recipe) -> dict[str, str]:
    """What a recipe's hyperparameters are when a solution names none."""
    return {key: value for key, value in recipe.hyperparameters.items() if not shapes_data(key)}


async def describe_transformation(
    _: OperationContext, request: FeatureTransformationName
) -> FeatureTransformationDescribed:
    """Show the feature transformation of a recipe."""
    arn = request.feature_transformation_arn
    name = Arn.parse(arn, "feature-transformation").path
    recipes = [each for each in RECIPES.values() if name == (each.feature_transformation or each.name)]
    if not recipes:
        raise not_found(f"There is no feature transformation with the ARN {arn}; DescribeRecipe names it.")
    return FeatureTransformationDescribed(
        feature_transformation=FeatureTransformation(
            name=name,
            feature_transformation_arn=catalogue.arn_of(name, "feature-transformation"),
            default_parameters={key: value for recipe in recipes for key, value in _defaults(recipe)},
        )
    )


def _defaults(recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield from ((name, words[0]) for name, words in recipe.transformations.items())
    yield from ((name, value) for name, value in recipe.hyperparameters.items() if shapes_data(name))
