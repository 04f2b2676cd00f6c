"""Recipes as Personalize lists them: a static table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from services.engine.domain.resources import Resource
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import ArnText, Domain, Page, Timestamp, WireModel
from services.engine.recipes import RECIPES
from services.engine.recipes import Recipe as FittingRecipe
from shared.aws import Arn, invalid_input, not_found

UNSUPPORTED = {
    "aws-next-best-action": "there are no Actions datasets here; use aws-user-personalization over items.",
    **dict.fromkeys(
        (
            "aws-vod-top-picks",
            "aws-vod-because-you-watched-x",
            "aws-vod-more-like-x",
            "aws-vod-most-popular",
            "aws-vod-trending-now",
        ),
        "the domain VIDEO_ON_DEMAND is not; ListRecipes with domain ECOMMERCE shows a shop's use cases.",
    ),
}
"""Recipes of Amazon Personalize that Endcap has not, and why."""

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


class ListRecipes(Page):
    """Which recipes."""

    recipe_provider: Literal["SERVICE"] | None = None
    domain: Domain | None = None


class RecipeName(WireModel):
    """Which recipe."""

    recipe_arn: ArnText


class RecipeSummary(WireModel):
    """A recipe in a list."""

    name: str
    recipe_arn: str
    status: str = "ACTIVE"
    creation_date_time: Timestamp = SINCE
    last_updated_date_time: Timestamp = SINCE
    domain: Domain | None = None


class RecipeView(WireModel):
    """A recipe."""

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
    """The answer to Describe."""

    recipe: RecipeView


class RecipesListed(WireModel):
    """One page."""

    recipes: list[RecipeSummary]
    next_token: str | None = None


def recipe_arn(name: str, kind: str = "recipe") -> str:
    """The ARN of a recipe, or of its algorithm; it has neither region nor account."""
    return f"arn:aws:personalize:::{kind}/{name}"


def find(arn: str) -> FittingRecipe:
    """The recipe of an ARN; ResourceNotFoundException, or InvalidInputException for what is declined."""
    name = Arn.parse(arn, "recipe").path
    if name in UNSUPPORTED:
        raise invalid_input(f"The recipe {name} is not supported by Endcap: {UNSUPPORTED[name]}")
    recipe = RECIPES.get(name)
    if recipe is None:
        raise not_found(f"There is no recipe with the ARN {arn}; ListRecipes shows those that there are.")
    return recipe


def makes_segments(version: Resource) -> bool:
    """Whether a version answers with users: such a one has neither campaigns nor batch inference jobs."""
    return RECIPES[version.facts["recipe"]].recipe_type == "USER_SEGMENTATION"


def check_selects_items(version: Resource, what: str) -> None:
    """InvalidInputException when a version answers with users, where items are asked for."""
    if makes_segments(version):
        raise invalid_input(
            f"The recipe {version.facts['recipe']} makes user segments, so {version.arn} has no {what}: make "
            "a batch segment job."
        )


async def describe(_: OperationContext, request: RecipeName) -> RecipeDescribed:
    """Show a recipe."""
    recipe = find(request.recipe_arn)
    return RecipeDescribed(
        recipe=RecipeView(
            name=recipe.name,
            recipe_arn=recipe_arn(recipe.name),
            algorithm_arn=recipe_arn(recipe.algorithm or recipe.name, "algorithm"),
            feature_transformation_arn=recipe_arn(
                recipe.feature_transformation or recipe.name, "feature-transformation"
            ),
            description=recipe.description,
            recipe_type=recipe.recipe_type,
        )
    )


async def list_page(context: OperationContext, request: ListRecipes) -> RecipesListed:
    """List the recipes: those of a domain, which are made into recommenders, or all.

    The service filters by the domain behind its pages, so that its first page of a domain has a token always,
    which programs read. Here it leads to what is left, if only to an empty page.
    """
    purpose = f"ListRecipes {request.domain or ''}"
    found = [recipe for _, recipe in sorted(RECIPES.items()) if request.domain in {None, recipe.domain}]
    begin = context.tokens.read(purpose, request.next_token) if request.next_token else 0
    end = begin + request.max_results
    is_first_of_domain = request.domain is not None and request.next_token is None
    return RecipesListed(
        recipes=[
            RecipeSummary(name=recipe.name, recipe_arn=recipe_arn(recipe.name), domain=recipe.domain)
            for recipe in found[begin:end]
        ],
        next_token=context.tokens.issue(purpose, end) if end < len(found) or is_first_of_domain else None,
    )
