"""Recipes as ListRecipes and DescribeRecipe show them. They do not change while a process runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from services.engine.domain.state import SolutionVersion
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import ArnText, Domain, Page, Timestamp, WireModel
from services.engine.training.recipes import RECIPES
from services.engine.training.recipes import Recipe as FittingRecipe
from shared.aws import Arn, invalid_input, not_found

UNSUPPORTED = {
    "aws-next-best-action": "there are no Actions datasets; use aws-user-personalization for items.",
    **dict.fromkeys(
        (
            "aws-vod-top-picks",
            "aws-vod-because-you-watched-x",
            "aws-vod-more-like-x",
            "aws-vod-most-popular",
            "aws-vod-trending-now",
        ),
        "the domain VIDEO_ON_DEMAND is not supported; ListRecipes with domain ECOMMERCE shows the others.",
    ),
}
"""Recipes of Amazon Personalize that Endcap does not have, and why."""

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


class ListRecipes(Page):
    """The request of ListRecipes."""

    recipe_provider: Literal["SERVICE"] | None = None
    domain: Domain | None = None


class RecipeName(WireModel):
    """The ARN of a recipe, in requests and answers."""

    recipe_arn: ArnText


class RecipeSummary(WireModel):
    """The view of a recipe in a list."""

    name: str
    recipe_arn: str
    status: str = "ACTIVE"
    creation_date_time: Timestamp = SINCE
    last_updated_date_time: Timestamp = SINCE
    domain: Domain | None = None


class RecipeView(WireModel):
    """The view of a recipe in the answer to Describe."""

    name: str
    recipe_arn: str
    status: str = "ACTIVE"
    creation_date_time: Timestamp = SINCE
    last_updated_date_time: Timestamp = SINCE
    algorithm_arn: str
    feature_transformation_arn: str
    description: str
    recipe_type: str


class RecipeDescribed(WireModel):
    """The answer to DescribeRecipe."""

    recipe: RecipeView


class RecipesListed(WireModel):
    """One page of the answer to ListRecipes."""

    recipes: list[RecipeSummary]
    next_token: str | None = None


def recipe_arn(name: str) -> Arn:
    """Return the ARN of a recipe, which has neither region nor account."""
    return Arn("recipe", name)


def find(arn: str) -> FittingRecipe:
    """Return the recipe with an ARN.

    Raise WireError: ResourceNotFoundException if there is none, InvalidInputException if Endcap does not
    have it.
    """
    name = Arn.parse(arn, "recipe").path
    if name in UNSUPPORTED:
        raise invalid_input(f"The recipe {name} is not supported by Endcap: {UNSUPPORTED[name]}")
    recipe = RECIPES.get(name)
    if recipe is None:
        raise not_found(f"There is no recipe with the ARN {arn}; ListRecipes shows those that there are.")
    return recipe


def makes_segments(version: SolutionVersion) -> bool:
    """Return whether the recipe of a version selects users and not items."""
    return RECIPES[version.facts.recipe].recipe_type == "USER_SEGMENTATION"


def check_selects_items(version: SolutionVersion, dependents: str) -> None:
    """Raise WireError (InvalidInputException) if the recipe of a version selects users and not items.

    `dependents` names in the message what such a version cannot have.
    """
    if makes_segments(version):
        raise invalid_input(
            f"The recipe {version.facts.recipe} makes user segments, so {version.arn} has no {dependents}: "
            "make a batch segment job."
        )


async def describe(_: OperationContext, request: RecipeName) -> RecipeDescribed:
    """Describe a recipe."""
    recipe = find(request.recipe_arn)
    return RecipeDescribed(
        recipe=RecipeView(
            name=recipe.name,
            recipe_arn=str(recipe_arn(recipe.name)),
            algorithm_arn=str(Arn("algorithm", recipe.algorithm or recipe.name)),
            feature_transformation_arn=str(
                Arn("feature-transformation", recipe.feature_transformation or recipe.name)
            ),
            description=recipe.description,
            recipe_type=recipe.recipe_type,
        )
    )


async def list_page(context: OperationContext, request: ListRecipes) -> RecipesListed:
    """List the recipes of a domain, or all recipes.

    Amazon Personalize filters the pages by the domain only after it has cut them, so its first page of a
    domain always has a token, and programs rely on that. Here that token leads to the remaining recipes, if
    any.
    """
    listing = f"ListRecipes {request.domain or ''}"
    matching = [recipe for _, recipe in sorted(RECIPES.items()) if request.domain in {None, recipe.domain}]
    begin = context.tokens.read(listing, request.next_token) if request.next_token else 0
    end = begin + request.max_results
    is_first_of_domain = request.domain is not None and request.next_token is None
    return RecipesListed(
        recipes=[
            RecipeSummary(name=recipe.name, recipe_arn=str(recipe_arn(recipe.name)), domain=recipe.domain)
            for recipe in matching[begin:end]
        ],
        next_token=context.tokens.issue(listing, end) if end < len(matching) or is_first_of_domain else None,
    )
