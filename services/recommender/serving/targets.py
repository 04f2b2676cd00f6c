"""The source of an answer: the model of a campaign or recommender, or the lists of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.recommender.domain.recipes import POPULARITY, SIMILAR
from shared.aws import Arn, invalid_input, not_found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.recommender.domain.deployed_campaign import DeployedCampaign
    from services.recommender.store.campaigns import Campaigns
    from shared.auth import Principal
    from shared.models import Model


@dataclass(frozen=True, slots=True)
class Target:
    """The model of a deployed campaign, or else the lists of a recipe."""

    tenant: str
    recipe: str
    deployed: DeployedCampaign | None = None

    @property
    def model(self) -> Model | None:
        """Return the model; None if there is none, or it is not loaded yet."""
        return self.deployed.model if self.deployed else None

    @property
    def only_ranks(self) -> bool:
        """Return whether the recipe only ranks the items of a request."""
        return self.deployed is not None and self.deployed.traits.ranks_only

    @property
    def kind(self) -> str:
        """Return what it recommends for: a `user`, an `item`, or nothing in particular (`popular`)."""
        if self.model is not None:
            return self.model.scoring.kind
        return {SIMILAR: "item", POPULARITY: "popular"}.get(self.recipe, "user")

    @property
    def name(self) -> str:
        """Return the name of the campaign or recipe, which events tell by the recommendationId."""
        return self.deployed.campaign.name if self.deployed else self.recipe

    @property
    def model_sha256(self) -> str | None:
        """Return what identifies the model; None if there is none, or it is not loaded yet."""
        return self.deployed.campaign.model_sha256 if self.deployed and self.deployed.model else None

    def check(self, user_id: str | None, item_id: str | None) -> None:
        """Raise InvalidInputException if the query lacks what the recipe requires."""
        needs_user = self.deployed is not None and self.deployed.traits.needs_user
        if (self.kind == "user" or needs_user) and not user_id:
            raise invalid_input(f"userId is required by the recipe of this {self._noun}.")
        if self.kind == "item" and not item_id:
            raise invalid_input(f"itemId is required by the recipe of this {self._noun}.")

    def check_context(self, context: Mapping[str, str] | None) -> None:
        """Raise InvalidInputException for a name that is not a metadata column of the interactions."""
        known = self.model.context if self.model is not None else None
        unknown = known.unknown(context) if known is not None and context else []
        if known is not None and unknown:
            columns = ", ".join(known.columns or ()) or "none"
            raise invalid_input(
                f"context: {unknown[0]!r} is no metadata column of the Interactions dataset that the model "
                f"was trained on; it has {columns}."
            )

    @property
    def _noun(self) -> str:
        is_campaign = self.deployed is None or "/" not in self.deployed.campaign.name
        return "campaign" if is_campaign else "recommender"


class TargetResolver:
    """Resolves ARNs. Only the name in an ARN counts, so one copied from AWS refers to its namesake here."""

    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns

    async def resolve(self, principal: Principal, text: str) -> Target:
        """Return the campaign that an ARN names; or a recipe, as `arn:aws:personalize:::recipe/sims`.

        Only services may name a recipe. Raise ResourceNotFoundException if there is no such campaign, or it
        is not active yet.
        """
        arn = Arn.parse(text, "campaign", "recipe")
        if arn.kind == "recipe" and principal.kind == "service":
            return Target(principal.own_tenant, arn.name)
        if arn.kind != "campaign":
            raise not_found(f"Only services may ask for a recipe; give the ARN of a campaign, not {text}.")
        return await self.campaign(principal.tenant, principal.account, text)

    async def strategy(self, tenant: str, strategy: str) -> Target:
        """Return the campaign that a strategy names by its ARN, or the lists of the recipe that it names.

        Raise ResourceNotFoundException as `resolve` does.
        """
        if strategy.startswith("arn:"):
            return await self.campaign(tenant, None, strategy)
        return Target(tenant, strategy)

    async def campaign(self, tenant: str | None, account: str | None, text: str) -> Target:
        """Return the campaign that an ARN names, of a tenant, or without one of any tenant of an account.

        Raise ResourceNotFoundException as `resolve` does.
        """
        return await self._deployed(tenant, account, Arn.parse(text, "campaign"), text)

    def related(self, tenant: str) -> Target:
        """Return what recommends items related to an item: a campaign, else the lists of a recipe."""
        return Target(tenant, SIMILAR, self._campaigns.newest(tenant, SIMILAR))

    async def recommender(self, principal: Principal, text: str) -> Target:
        """Return the recommender that an ARN names; raise ResourceNotFoundException as `resolve` does.

        The name of a recommender among campaigns is `recommender/<name>`.
        """
        return await self._deployed(principal.tenant, principal.account, Arn.parse(text, "recommender"), text)

    async def _deployed(self, tenant: str | None, account: str | None, arn: Arn, text: str) -> Target:
        name = arn.name if arn.kind == "campaign" else f"{arn.kind}/{arn.name}"
        deployed = await self._campaigns.find(tenant, account, name)
        if deployed is None:
            raise not_found(f"There is no {arn.kind} {arn.name!r} here. Create it, or check the ARN: {text}")
        if deployed.campaign.status != "ACTIVE":
            raise not_found(f"The {arn.kind} {arn.name!r} is {deployed.campaign.status}, not ACTIVE.")
        return Target(deployed.campaign.tenant, deployed.traits.list_recipe, deployed)
