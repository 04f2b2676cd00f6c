"""What is recommended for a target, and in which order given items are put for a user.

Filters and promotions hold whatever the picks come from. What was just bought, or can't be sold, is left out.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.recommender.api.filtering import RequestContext
from services.recommender.api.listed import FromLists
from services.recommender.api.scored import Scored
from services.recommender.domain.erased import Erased
from services.recommender.domain.placing import PROMOTED, Pick, placed, slots
from services.recommender.domain.recipes import EVERYBODY
from services.recommender.metrics import LIVE
from services.recommender.store.profiles import Profile

if TYPE_CHECKING:
    from services.recommender.api.explorer import Explorer
    from services.recommender.api.filtering import BoundFilter, ItemFilters
    from services.recommender.api.targets import Target
    from services.recommender.domain.pointers import Pointers
    from services.recommender.store.lists import Lists
    from services.recommender.store.popular import Popular
    from services.recommender.store.profiles import Profiles
    from services.recommender.store.states import Catalogues


@dataclass(frozen=True, slots=True)
class Promotion:
    """A share of a list for the items of a filter, or for any."""

    name: str | None
    percent: int
    bound_filter: BoundFilter | None


@dataclass(frozen=True, slots=True)
class RecommendationQuery:
    """What a request wants recommended: whom or what for, how many items, filters and context."""

    user_id: str | None
    item_id: str | None
    limit: int
    bound_filter: BoundFilter | None = None
    promotion: Promotion | None = None
    context: Mapping[str, str] = field(default_factory=dict)


class Selection:
    """Chooses items for a target."""

    def __init__(
        self,
        profiles: Profiles,
        lists: Lists,
        popular: Popular,
        catalogues: Catalogues,
        pointers: Pointers,
        item_filters: ItemFilters,
        explorer: Explorer,
        erased: Erased,
    ) -> None:
        self._profiles = profiles
        self._lists = lists
        self._popular = popular
        self._catalogues = catalogues
        self._pointers = pointers
        self._item_filters = item_filters
        self._explorer = explorer
        self._erased = erased
        self._chance = random.Random()  # noqa: S311 - places in a list, no secrets

    async def recommend(self, target: Target, query: RecommendationQuery) -> tuple[list[Pick], bytes]:
        """Picks, best first, and what they come from: a model, lists, or what is popular."""
        target.check(query.user_id, query.item_id)
        known = query.user_id and (target.model or query.bound_filter or query.promotion)
        profile = await self._profiles.of(target.tenant, query.user_id or "") if known else Profile()
        name = self._erased.name_in_models(target.tenant, query.user_id)
        request = RequestContext(target.tenant, query.user_id, query.item_id, profile, query.context, name)
        source = await self._scored(target) or await self._listed(target, query.user_id, query.item_id)
        picks = await source.picks(request, query.bound_filter, query.limit)
        if query.promotion is not None:
            picks = await self._promoted(source, request, query.promotion, picks, query.limit)
        LIVE.labels(source.source.decode()).inc()
        return picks, source.source

    async def rank(
        self,
        target: Target,
        user_id: str,
        given: Sequence[str],
        bound_filter: BoundFilter | None,
        context: Mapping[str, str],
    ) -> list[Pick]:
        """The given items that pass, best first; those that training never saw come last, without a score."""
        wanted = list(dict.fromkeys(given))
        profile = await self._profiles.of(target.tenant, user_id)
        name = self._erased.name_in_models(target.tenant, user_id)
        request = RequestContext(target.tenant, user_id, None, profile, name_in_models=name)
        if bound_filter is not None:
            wanted = await self._passing(target, request, wanted, bound_filter)
        if target.model is not None:
            ranked = target.model.rank(name or "", request.profile.history, wanted, context)
        else:
            found = (await self._listed(target, user_id, None)).found
            asked = set(wanted)
            known = [(item, score or 0.0) for item, score in found.listed if item in asked]
            total = sum(score for _, score in known) or 1.0
            ranked = [(item, round(score / total, 7)) for item, score in known]
        picks = [Pick(item, score) for item, score in ranked]
        placed_already = {pick.item for pick in picks}
        return picks + [Pick(item) for item in wanted if item not in placed_already]

    async def _promoted(
        self,
        source: Scored | FromLists,
        request: RequestContext,
        promotion: Promotion,
        others: list[Pick],
        limit: int,
    ) -> list[Pick]:
        count = slots(limit, promotion.percent)
        found = await source.picks(request, promotion.bound_filter, count)
        promoted = [Pick(pick.item, pick.score, promotion.name, PROMOTED) for pick in found]
        return placed(promoted, others, limit, self._chance)

    async def _passing(
        self, target: Target, request: RequestContext, wanted: list[str], bound_filter: BoundFilter
    ) -> list[str]:
        """Those of some items that pass a filter, whether training saw them or not."""
        filterable_items = target.deployed.filterable_items if target.deployed else None
        passing: set[str] = set()
        strangers = wanted
        if filterable_items is not None:
            mask = await self._item_filters.mask(bound_filter, filterable_items, target.model, request)
            passing = {
                item for item in wanted if (row := filterable_items.rows.get(item)) is not None and mask[row]
            }
            strangers = [item for item in wanted if item not in filterable_items.rows]
        if strangers:
            filterable_items = self._item_filters.listed(strangers, self._catalogues.of(target.tenant))
            mask = await self._item_filters.mask(bound_filter, filterable_items, target.model, request)
            passing |= {item for item, passes in zip(strangers, mask.tolist(), strict=True) if passes}
        return [item for item in wanted if item in passing]

    async def _scored(self, target: Target) -> Scored | None:
        deployed = target.deployed
        if (
            deployed is None
            or deployed.asked is None
            or deployed.open is None
            or deployed.filterable_items is None
        ):
            return None
        catalogue = self._catalogues.of(target.tenant)
        bonus = await self._explorer.bonus(target)
        return Scored(
            deployed.asked, deployed.open, deployed.filterable_items, catalogue, self._item_filters, bonus
        )

    async def _listed(self, target: Target, user_id: str | None, item_id: str | None) -> FromLists:
        tenant, recipe = target.tenant, target.recipe
        identifier = {"user": user_id, "item": item_id}.get(target.asks_for) or EVERYBODY
        generation = self._pointers.of(tenant).generations.get(recipe)
        found = await self._lists.find(tenant, generation, recipe, identifier, user_id)
        popular, _ = await self._popular.near(tenant, found.place)
        return FromLists(found, popular, self._catalogues.of(tenant), self._item_filters)
