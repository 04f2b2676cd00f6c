"""Live scores: a campaign's model and what the subject did a moment ago; lists where there is no model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from services.recommender.api.answers import MODEL, POPULAR, Reply
from services.recommender.domain.catalogue import body
from services.recommender.domain.recipes import EVERYBODY, POPULARITY, RANKING_ONLY, SIMILAR, list_recipe
from services.recommender.metrics import LIVE, SCORE_SECONDS
from services.recommender.store.profiles import Profile
from shared.errors import ApiError, EndcapError
from shared.personalize import Arn, invalid_input, not_found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.domain.catalogue import Listed
    from services.recommender.domain.pointers import Pointers
    from services.recommender.store.campaigns import Campaigns, Deployed
    from services.recommender.store.lists import Lists
    from services.recommender.store.popular import Popular
    from services.recommender.store.profiles import Profiles
    from services.recommender.store.states import Catalogues
    from shared.auth import Principal
    from shared.models import Model

_SPARE = 20
"""So many items more than asked for are scored at first, in case some are not available."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an ARN asks to be answered by: a model, or else the lists of a recipe."""

    tenant: str
    recipe: str
    deployed: Deployed | None = None

    @property
    def model(self) -> Model | None:
        """The model, if it is in memory."""
        return self.deployed.model if self.deployed else None

    @property
    def only_ranks(self) -> bool:
        """Whether the recipe orders given items only."""
        return self.deployed is not None and self.deployed.campaign.recipe in RANKING_ONLY

    @property
    def asks_for(self) -> str:
        """`user`, `item` or `popular`: what a query of this target names."""
        if self.model is not None:
            return self.model.scoring.kind
        return {SIMILAR: "item", POPULARITY: "popular"}.get(self.recipe, "user")


class Live:
    """Answers by ARN: of a campaign, or, between services, of a recipe of the lists."""

    def __init__(
        self,
        campaigns: Campaigns,
        profiles: Profiles,
        lists: Lists,
        popular: Popular,
        catalogues: Catalogues,
        pointers: Pointers,
    ) -> None:
        self._campaigns = campaigns
        self._profiles = profiles
        self._lists = lists
        self._popular = popular
        self._catalogues = catalogues
        self._pointers = pointers

    async def target(self, principal: Principal, text: str) -> Target:
        """What an ARN names; only the name counts, so an ARN copied from AWS finds its namesake here.

        ResourceNotFoundException when there is no such campaign, or it is not active yet. A service may
        name a recipe instead, as `arn:aws:personalize:::recipe/user-personalization`.
        """
        arn = Arn.parse(text, "campaign", "recipe")
        if arn.kind == "recipe" and principal.kind == "service":
            return Target(principal.own_tenant, arn.name)
        deployed = await self._campaigns.find(principal.tenant, principal.account, arn.name)
        if deployed is None or arn.kind != "campaign":
            raise not_found(f"There is no campaign {arn.name!r} here. Create it, or check the ARN: {text}")
        if deployed.campaign.status != "ACTIVE":
            raise not_found(f"The campaign {arn.name!r} is {deployed.campaign.status}, not ACTIVE.")
        return Target(deployed.campaign.tenant, list_recipe(deployed.campaign.recipe), deployed)

    async def recommend(
        self, target: Target, user_id: str | None, item_id: str | None, limit: int
    ) -> tuple[Listed, bytes]:
        """Items with their scores, and what scored them."""
        if target.asks_for == "user" and not user_id:
            raise invalid_input("userId is required by the recipe of this campaign.")
        if target.asks_for == "item" and not item_id:
            raise invalid_input("itemId is required by the recipe of this campaign.")
        model = target.model
        if model is None:
            listed, source = await self._from_lists(target, user_id, item_id, limit)
        else:
            profile = await self._profiles.of(target.tenant, user_id) if user_id else Profile()
            listed, source = self._scored(target.tenant, model, user_id, item_id, profile, limit), MODEL
        LIVE.labels(source.decode()).inc()
        return listed, source

    async def rank(self, target: Target, user_id: str, given: Sequence[str]) -> Listed:
        """The given items, best first; those that training never saw come last, without a score."""
        ranking = target.deployed.ranking if target.deployed else None
        if ranking is not None:
            profile = await self._profiles.of(target.tenant, user_id)
            everything = ranking.recommend(
                user_id=user_id, history=profile.history, limit=len(ranking.items), relevance=True
            )
        else:
            everything, _ = await self._from_lists(target, user_id, None, len(given))
        wanted = dict.fromkeys(given)
        known = [(item, score) for item, score in everything if item in wanted]
        total = sum(score or 0.0 for _, score in known) or 1.0
        ranked: Listed = [(item, None if score is None else round(score / total, 7)) for item, score in known]
        placed = {item for item, _ in ranked}
        return ranked + [(item, None) for item in wanted if item not in placed]

    async def for_user(self, tenant: str, text: str, user_id: str, limit: int) -> Reply:
        """The same in the shape of REST, for a variant whose strategy is a campaign."""
        subject = b'"user_id":' + orjson.dumps(user_id)
        return await self._rest(tenant, text, user_id, None, limit, subject)

    async def for_item(self, tenant: str, text: str, item_id: str, limit: int) -> Reply:
        """For an item."""
        subject = b'"product_id":' + orjson.dumps(item_id)
        return await self._rest(tenant, text, None, item_id, limit, subject)

    async def _rest(
        self, tenant: str, text: str, user_id: str | None, item_id: str | None, limit: int, subject: bytes
    ) -> Reply:
        try:
            name = Arn.parse(text, "campaign").name
            deployed = await self._campaigns.find(tenant, None, name)
            if deployed is None:
                raise not_found(f"There is no campaign {name!r} here.")
            target = Target(tenant, list_recipe(deployed.campaign.recipe), deployed)
            listed, source = await self.recommend(target, user_id, item_id, limit)
        except EndcapError as error:
            raise ApiError(400, "UnknownStrategy", str(error)) from None
        entries = self._catalogues.of(tenant).entries(listed, set(), limit)
        generation = None if source == MODEL else self._pointers.of(tenant).generations.get(target.recipe)
        return Reply(body(subject, entries, source, generation), source, generation)

    def _scored(
        self,
        tenant: str,
        model: Model,
        user_id: str | None,
        item_id: str | None,
        profile: Profile,
        limit: int,
    ) -> Listed:
        """What the model says now, without what was bought or can't be sold."""
        began = time.perf_counter()
        catalogue, asked = self._catalogues.of(tenant), limit + _SPARE
        while True:
            scored = model.recommend(
                user_id=user_id,
                item_id=item_id,
                history=profile.history,
                exclude=profile.bought,
                limit=asked,
            )
            allowed = catalogue.allowed(scored, set(), limit)
            if len(allowed) == limit or len(scored) < asked:
                SCORE_SECONDS.observe(time.perf_counter() - began)
                return allowed
            asked *= 8

    async def _from_lists(
        self, target: Target, user_id: str | None, item_id: str | None, limit: int
    ) -> tuple[Listed, bytes]:
        tenant, recipe = target.tenant, target.recipe
        identifier = {"user": user_id, "item": item_id}.get(target.asks_for) or EVERYBODY
        generation = self._pointers.of(tenant).generations.get(recipe)
        found = await self._lists.find(tenant, generation, recipe, identifier, user_id)
        catalogue = self._catalogues.of(tenant)
        allowed = catalogue.allowed(found.listed, found.bought, limit)
        if allowed:
            return allowed, found.source
        listed, _ = await self._popular.near(tenant, found.place)
        return catalogue.allowed(listed, found.bought, limit), POPULAR
