"""Make one recommendation: profile, candidates and their scores, filter, promotion.

Filters and promotions apply whether the candidates come from a model or from lists. Items that were purchased
recently or cannot be sold are left out.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from services.recommender.domain.catalogue_index import CATEGORY, first_category
from services.recommender.domain.recipes import GLOBAL_LIST_ID
from services.recommender.metrics import LIVE
from services.recommender.serving.blending import blend, promoted_count
from services.recommender.serving.candidates import ListCandidates
from services.recommender.serving.query import RequestContext
from services.recommender.serving.recommendation import (
    MODEL,
    PROMOTED_REASON,
    History,
    Recommendation,
    Recommended,
)
from services.recommender.serving.scoring import ModelCandidates
from services.recommender.store.profiles import Profile

if TYPE_CHECKING:
    from services.recommender.domain.activations import ActiveGenerations
    from services.recommender.domain.erased_users import ErasedUsers
    from services.recommender.serving.exploration import Explorer
    from services.recommender.serving.filtering import ItemFilters
    from services.recommender.serving.query import BoundFilter, Promotion, RecommendationQuery
    from services.recommender.serving.targets import Target
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.lists import Lists
    from services.recommender.store.popularity_lists import PopularityLists
    from services.recommender.store.profiles import Profiles

NOBODY = frozenset({"null", "undefined"})
"""User ids that programs in JavaScript send for a visitor without one."""


class Recommender:
    """Recommends items, and ranks the items of a request, for a target."""

    def __init__(
        self,
        profiles: Profiles,
        lists: Lists,
        popularity: PopularityLists,
        catalogues: Catalogues,
        active: ActiveGenerations,
        item_filters: ItemFilters,
        explorer: Explorer,
        erased_users: ErasedUsers,
    ) -> None:
        self._profiles = profiles
        self._lists = lists
        self._popularity = popularity
        self._catalogues = catalogues
        self._active = active
        self._item_filters = item_filters
        self._explorer = explorer
        self._erased_users = erased_users
        self._rng = random.Random()  # noqa: S311 - positions in a list, no secrets

    async def recommend(self, target: Target, query: RecommendationQuery) -> Recommended:
        """Return items, best first, and their source: a model, lists, or what is popular.

        Raise InvalidInputException if the query lacks what the target or its filter requires.
        """
        target.check(query.user_id, query.item_id)
        context = await self._context(target, query)
        candidates = await self._model_candidates(target) or await self._list_candidates(
            target, query.user_id, query.item_id
        )
        items = await candidates.best(context, query.bound_filter, query.limit)
        if query.promotion is not None:
            items = await self._with_promotion(candidates, context, query.promotion, items, query.limit)
        LIVE.labels(candidates.source.decode()).inc()
        return self._recommended(target, items, candidates.source, context.profile)

    async def knows(self, target: Target, user_id: str) -> bool:
        """Return whether a user has recent events, or is in the training data of the target."""
        if user_id in NOBODY:
            return False
        model_user_id = self._erased_users.model_user_id(target.tenant, user_id)
        if target.model is not None and target.model.users.find(model_user_id or "") is not None:
            return True
        profile = await self._profiles.of(target.tenant, user_id)
        if profile.history or profile.purchased:
            return True
        return target.model is None and bool(
            (await self._list_candidates(target, user_id, None)).lookup.items
        )

    async def score(self, target: Target, context: RequestContext, limit: int) -> list[Recommendation] | None:
        """Return the items that a target's model scores best; None while it is not loaded."""
        candidates = await self._model_candidates(target)
        return None if candidates is None else await candidates.best(context, None, limit)

    async def rank(
        self,
        target: Target,
        user_id: str,
        item_ids: Sequence[str],
        bound_filter: BoundFilter | None,
        context: Mapping[str, str],
    ) -> Recommended:
        """Return the items that pass the filter, best first; unknown items come last, without a score."""
        item_ids = list(dict.fromkeys(item_ids))
        profile = await self._profiles.of(target.tenant, user_id)
        model_user_id = self._erased_users.model_user_id(target.tenant, user_id)
        request = RequestContext(target.tenant, user_id, None, profile, model_user_id=model_user_id)
        if bound_filter is not None:
            item_ids = await self._passing(target, request, item_ids, bound_filter)
        if target.model is not None:
            scores = target.model.rank(model_user_id or "", profile.history, item_ids, context)
        else:
            scores = await self._list_shares(target, user_id, item_ids)
        ranked = [Recommendation(item_id, score) for item_id, score in scores]
        ranked_ids = {each.item_id for each in ranked}
        ranked += [Recommendation(item_id) for item_id in item_ids if item_id not in ranked_ids]
        return self._recommended(target, ranked, MODEL if target.model is not None else b"", profile)

    def _recommended(
        self, target: Target, items: list[Recommendation], source: bytes, profile: Profile
    ) -> Recommended:
        if source != MODEL:
            generation = self._active.of(target.tenant).generations.get(target.recipe)
            return Recommended(items, source, generation, None)
        history = profile.history
        return Recommended(items, source, None, History(len(history), history[-1][2] if history else None))

    async def _context(self, target: Target, query: RecommendationQuery) -> RequestContext:
        """Return the subject of the query; its profile is read only if the model or a filter needs it."""
        needs_profile = query.user_id and (target.model or query.bound_filter or query.promotion)
        profile = await self._profiles.of(target.tenant, query.user_id or "") if needs_profile else Profile()
        model_user_id = self._erased_users.model_user_id(target.tenant, query.user_id)
        return RequestContext(
            target.tenant, query.user_id, query.item_id, profile, query.context, model_user_id
        )

    async def _model_candidates(self, target: Target) -> ModelCandidates | None:
        deployed = target.deployed
        if deployed is None or deployed.filterable_items is None:
            return None
        if deployed.configured_model is None or deployed.unrestricted_model is None:
            return None
        return ModelCandidates(
            deployed.configured_model,
            deployed.unrestricted_model,
            deployed.filterable_items,
            self._catalogues.of(target.tenant),
            self._item_filters,
            await self._explorer.bonus(target),
        )

    async def _list_candidates(
        self, target: Target, user_id: str | None, item_id: str | None
    ) -> ListCandidates:
        tenant, recipe = target.tenant, target.recipe
        list_id = {"user": user_id, "item": item_id}.get(target.kind) or GLOBAL_LIST_ID
        active = self._active.of(tenant)
        lookup = await self._lists.look_up(
            *(tenant, active.generations.get(recipe), recipe, list_id, user_id),
            overlay=active.overlays.get(recipe),
        )
        catalogue = self._catalogues.of(tenant)
        category = None
        if target.kind == "item" and item_id is not None:
            category = first_category(catalogue.property_value(item_id, CATEGORY))
        popular: dict[str, float | None] = {}
        for each in await self._popularity.chain(tenant, category, lookup.location):
            for popular_id, score in each.items:
                popular.setdefault(popular_id, score)
        return ListCandidates(lookup, [*popular.items()], catalogue, self._item_filters)

    async def _with_promotion(
        self,
        candidates: ModelCandidates | ListCandidates,
        context: RequestContext,
        promotion: Promotion,
        organic: list[Recommendation],
        limit: int,
    ) -> list[Recommendation]:
        count = promoted_count(limit, promotion.percent)
        best = await candidates.best(context, promotion.bound_filter, count)
        promoted = [
            Recommendation(each.item_id, each.score, promotion.name, PROMOTED_REASON) for each in best
        ]
        return blend(promoted, organic, limit, self._rng)

    async def _list_shares(
        self, target: Target, user_id: str, item_ids: Sequence[str]
    ) -> list[tuple[str, float]]:
        """Return the items that the user's list has, in its order, with their shares of the scores' sum."""
        lookup = (await self._list_candidates(target, user_id, None)).lookup
        requested = set(item_ids)
        scores = [(item_id, score or 0.0) for item_id, score in lookup.items if item_id in requested]
        total = sum(score for _, score in scores) or 1.0
        return [(item_id, round(score / total, 7)) for item_id, score in scores]

    async def _passing(
        self, target: Target, request: RequestContext, item_ids: list[str], bound_filter: BoundFilter
    ) -> list[str]:
        """Return the items that pass a filter, whether the model knows them or not."""
        items = target.deployed.filterable_items if target.deployed else None
        passing = await self._item_filters.passing(
            bound_filter, item_ids, items, target.model, request, self._catalogues.of(target.tenant)
        )
        return [item_id for item_id in item_ids if item_id in passing]
