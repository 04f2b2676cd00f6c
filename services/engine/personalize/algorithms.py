"""Algorithms of recipes, with their default hyperparameters.

https://docs.aws.amazon.com/personalize/latest/dg/API_Algorithm.html
"""

from __future__ import annotations

from services.engine.personalize import recipes
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import ArnText, Timestamp, WireModel
from services.engine.training.recipes import RECIPES
from services.engine.training.recipes.recipe import Recipe, shapes_data
from shared.aws import Arn, not_found


class AlgorithmName(WireModel):
    """The request of DescribeAlgorithm."""

    algorithm_arn: ArnText


class Algorithm(WireModel):
    """The answer's view of an algorithm."""

    name: str
    algorithm_arn: str
    default_hyper_parameters: dict[str, str]
    training_input_mode: str = "File"
    creation_date_time: Timestamp = recipes.SINCE
    last_updated_date_time: Timestamp = recipes.SINCE


class AlgorithmDescribed(WireModel):
    """The answer to DescribeAlgorithm."""

    algorithm: Algorithm


async def describe(_: OperationContext, request: AlgorithmName) -> AlgorithmDescribed:
    """Describe the algorithm of a recipe.

    Raise WireError (ResourceNotFoundException) if no recipe has it.
    """
    name = Arn.parse(request.algorithm_arn, "algorithm").path
    for recipe in RECIPES.values():
        if name == (recipe.algorithm or recipe.name):
            return AlgorithmDescribed(algorithm=_view(name, recipe))
    raise not_found(f"There is no algorithm with the ARN {request.algorithm_arn}; DescribeRecipe names it.")


def _view(name: str, recipe: Recipe) -> Algorithm:
    return Algorithm(
        name=name,
        algorithm_arn=str(Arn("algorithm", name)),
        default_hyper_parameters=default_hyperparameters(recipe),
    )


def default_hyperparameters(recipe: Recipe) -> dict[str, str]:
    """Return the hyperparameters of a recipe for a solution that sets none."""
    return {name: value for name, value in recipe.hyperparameters.items() if not shapes_data(name)}
