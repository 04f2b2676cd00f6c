"""Feature transformations of recipes: the parameters by which a recipe selects its training data.

https://docs.aws.amazon.com/personalize/latest/dg/API_FeatureTransformation.html
"""

from __future__ import annotations

from collections.abc import Iterator

from services.engine.personalize import recipes
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import ArnText, Timestamp, WireModel
from services.engine.training.recipes import RECIPES
from services.engine.training.recipes.recipe import Recipe, shapes_data
from shared.aws import Arn, not_found


class FeatureTransformationName(WireModel):
    """The request of DescribeFeatureTransformation."""

    feature_transformation_arn: ArnText


class FeatureTransformation(WireModel):
    """The answer's view of a feature transformation."""

    name: str
    feature_transformation_arn: str
    default_parameters: dict[str, str]
    status: str = "ACTIVE"
    creation_date_time: Timestamp = recipes.SINCE
    last_updated_date_time: Timestamp = recipes.SINCE


class FeatureTransformationDescribed(WireModel):
    """The answer to DescribeFeatureTransformation."""

    feature_transformation: FeatureTransformation


async def describe(_: OperationContext, request: FeatureTransformationName) -> FeatureTransformationDescribed:
    """Describe a feature transformation with the parameters of all recipes that use it.

    Raise WireError (ResourceNotFoundException) if no recipe has it.
    """
    arn = request.feature_transformation_arn
    name = Arn.parse(arn, "feature-transformation").path
    users = [recipe for recipe in RECIPES.values() if name == (recipe.feature_transformation or recipe.name)]
    if not users:
        raise not_found(f"There is no feature transformation with the ARN {arn}; DescribeRecipe names it.")
    return FeatureTransformationDescribed(
        feature_transformation=FeatureTransformation(
            name=name,
            feature_transformation_arn=str(Arn("feature-transformation", name)),
            default_parameters={key: value for recipe in users for key, value in _default_parameters(recipe)},
        )
    )


def _default_parameters(recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield from ((name, values[0]) for name, values in recipe.transformations.items())
    yield from ((name, value) for name, value in recipe.hyperparameters.items() if shapes_data(name))
