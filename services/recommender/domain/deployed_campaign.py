"""A campaign together with its model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from shared.models.traits import complete_traits

if TYPE_CHECKING:
    from services.recommender.domain.filterable_items import FilterableItems
    from shared.events import CampaignChanged, RecipeTraits
    from shared.models import Model


@dataclass(frozen=True)
class DeployedCampaign:
    """A campaign with the model that scores it, and the items of that; both are None until it is loaded."""

    campaign: CampaignChanged
    model: Model | None = None
    filterable_items: FilterableItems | None = None

    @cached_property
    def traits(self) -> RecipeTraits:
        """Return the recipe's traits: the campaign's or the model's, or else those of an earlier release."""
        of_model = None if self.model is None else self.model.traits
        return complete_traits(self.campaign.traits or of_model, self.campaign.recipe)

    @cached_property
    def configured_model(self) -> Model | None:
        """Return the model with the campaign's `rankingInfluence` (popularity and freshness)."""
        influence = (self.campaign.config or {}).get("rankingInfluence")
        return replace(self.model, influence=influence) if self.model and influence else self.model

    @cached_property
    def unrestricted_model(self) -> Model | None:
        """Return the configured model without its rule on items that the user has seen.

        It serves requests whose filter selects items by the user's interactions.
        """
        model = self.configured_model
        if model is None or not model.scoring.exclude_seen:
            return model
        return replace(model, scoring=model.scoring.model_copy(update={"exclude_seen": False}))
