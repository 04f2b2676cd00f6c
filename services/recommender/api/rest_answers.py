"""The answers of the REST API: make a recommendation, by lists or by a campaign, and encode it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.api.interleaved_lists import (
    InterleavedLists,
    ListRequest,
    by_campaign,
    campaign_rows,
)
from services.recommender.api.replies import Reply, encode_body
from services.recommender.api.shop_fields import for_backend, with_affinity
from services.recommender.domain.recipes import AFFINITY, POPULARITY, SIMILAR, USER
from services.recommender.serving.query import RecommendationQuery
from shared.experiments import surfaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.comparisons import Comparisons
    from services.recommender.serving.experiments import Experiments
    from services.recommender.serving.live_lists import ServedList
    from services.recommender.serving.precomputed import EncodedList, PrecomputedRecommendations
    from services.recommender.serving.recommendation import ServedVariant
    from services.recommender.serving.recommender import Recommender
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.serving.targets import TargetResolver
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.exposures import Shown
    from services.recommender.store.lists import Location

    _Answer = Callable[[str | None, ServedVariant | None], Awaitable["Reply"]]

_GUEST = b'"user_id":null'
_SURFACES = {USER: surfaces.RECOMMENDATIONS, AFFINITY: surfaces.AFFINITY, SIMILAR: surfaces.SIMILAR}
"""The recipe by which a route answers without a strategy → the surface of its experiments."""


class RestAnswers:
    """Answers for a user, a guest, an item or a location.

    If an experiment runs on the surface and the caller names no strategy, the variant of the unit does: of
    the user, or for items related to an item of the `unit` who sees them. A `strategy` is the name of a
    recipe, whose lists answer, or the ARN of a campaign, whose model does.
    A method raises ApiError (400) for a strategy that does not exist or cannot answer.
    """

    def __init__(
        self,
        precomputed: PrecomputedRecommendations,
        recommender: Recommender,
        targets: TargetResolver,
        catalogues: Catalogues,
        experiments: Experiments,
        recorder: AnswerRecorder,
        comparisons: Comparisons,
    ) -> None:
        self._precomputed = precomputed
        self._recommender = recommender
        self._targets = targets
        self._catalogues = catalogues
        self._experiments = experiments
        self._recorder = recorder
        self._comparisons = comparisons
        self._interleaved = InterleavedLists(precomputed, recommender, targets, catalogues)

    def for_user(
        self,
        tenant: str,
        user_id: str,
        limit: int,
        strategy: str | None,
        default_recipe: str,
        session_id: str | None = None,
        read: ServedList | None = None,
    ) -> Coroutine[Any, Any, Reply]:
        """Return items for a user; the events of a session count at once as the user's.

        `read` is the user's list of the default recipe if it was looked up before.
        """
        if strategy is not None or not self._experiments.may_run(tenant):
            return self.by_strategy(tenant, user_id, limit, strategy, default_recipe, session_id, None, read)
        return self._by_variant(
            ListRequest(tenant, user_id, None, limit, default_recipe, session_id),
            user_id,
            lambda *chosen: self.by_strategy(
                tenant, user_id, limit, chosen[0], default_recipe, session_id, chosen[1], read
            ),
        )

    async def by_strategy(
        self,
        tenant: str,
        user_id: str,
        limit: int,
        strategy: str | None,
        default_recipe: str,
        session_id: str | None = None,
        variant: ServedVariant | None = None,
        read: ServedList | None = None,
    ) -> Reply:
        """Return items for a user by a strategy, whatever experiments run."""
        member = b'"user_id":' + orjson.dumps(user_id)
        if strategy is not None and strategy.startswith("arn:"):
            query = RecommendationQuery(user_id, None, limit)
            reply = await self._by_campaign(tenant, strategy, query, member, variant)
        else:
            recipe = self._precomputed.check_strategy(tenant, strategy, default_recipe)
            if session_id is not None and recipe == USER:
                encoded = await self._precomputed.for_visitor(tenant, user_id, session_id, limit)
            else:
                read = read if recipe == default_recipe else None
                encoded = await self._precomputed.for_user(tenant, user_id, limit, recipe, read)
            request = {"limit": limit}
            reply = self._reply(tenant, member, user_id, recipe, encoded, request, variant, session_id)
        return with_affinity(reply) if default_recipe == AFFINITY else reply

    async def for_guest(
        self, tenant: str, limit: int, strategy: str | None, session_id: str | None = None
    ) -> Reply:
        """Return items for a visitor without a user id: by the events of the session, else popular ones."""
        if strategy is not None and strategy.startswith("arn:"):
            return await self._by_campaign(tenant, strategy, RecommendationQuery(None, None, limit), _GUEST)
        recipe = self._precomputed.check_strategy(tenant, strategy, USER)
        request = {"limit": limit}
        if session_id is not None and recipe == USER:
            encoded = await self._precomputed.for_visitor(tenant, None, session_id, limit)
            return self._reply(tenant, _GUEST, None, recipe, encoded, request, None, session_id)
        encoded = await self._precomputed.for_guest(tenant, limit)
        return self._reply(tenant, _GUEST, None, POPULARITY, encoded, request)

    def for_item(
        self,
        tenant: str,
        item_id: str,
        limit: int,
        strategy: str | None,
        default_recipe: str,
        unit: str | None = None,
    ) -> Coroutine[Any, Any, Reply]:
        """Return items related to an item."""
        if strategy is not None or unit is None or not self._experiments.may_run(tenant):
            return self._for_item(tenant, item_id, limit, strategy, default_recipe, unit)
        return self._by_variant(
            ListRequest(tenant, unit, item_id, limit, default_recipe),
            unit,
            lambda *chosen: self._for_item(
                tenant, item_id, limit, chosen[0], default_recipe, unit, chosen[1]
            ),
        )

    async def _for_item(
        self,
        tenant: str,
        item_id: str,
        limit: int,
        strategy: str | None,
        default_recipe: str,
        unit: str | None,
        variant: ServedVariant | None = None,
    ) -> Reply:
        member = b'"product_id":' + orjson.dumps(item_id)
        if strategy is not None and strategy.startswith("arn:"):
            query = RecommendationQuery(None, item_id, limit)
            return await self._by_campaign(tenant, strategy, query, member, variant)
        recipe = self._precomputed.check_strategy(tenant, strategy, default_recipe)
        encoded = await self._precomputed.for_item(tenant, item_id, limit, recipe)
        request = {"item_id": item_id, "limit": limit}
        return self._reply(tenant, member, unit, recipe, encoded, request, variant)

    def for_backend(self, tenant: str, reply: Reply) -> Reply:
        """Return the same answer with the members that backends of shops read."""
        return for_backend(reply, self._catalogues.of(tenant))

    async def for_location(self, tenant: str, location: Location, limit: int) -> Reply:
        """Return what is popular at a location."""
        kinds = ("city", "province", "country")
        areas = {kind: name for kind, name in zip(kinds, location, strict=True) if name}
        encoded = await self._precomputed.for_location(tenant, location, limit)
        request = {**areas, "limit": limit}
        return self._reply(tenant, orjson.dumps(areas)[1:-1], None, POPULARITY, encoded, request)

    def _reply(
        self,
        tenant: str,
        member: bytes,
        user_id: str | None,
        recipe: str,
        encoded: EncodedList,
        request: dict[str, Any],
        variant: ServedVariant | None = None,
        session_id: str | None = None,
    ) -> Reply:
        """Record the answer of a list, and encode it."""
        items, source, generation, scores = encoded
        id_ = self._recorder.rest(
            tenant, user_id, recipe, items, source, generation, request, variant, session_id, scores
        )
        return Reply(encode_body(member, items, source, generation, id_), source, generation, id_)

    async def interleaved(self, request: ListRequest, assignment: Assignment) -> Reply:
        """Return an answer with items of all variants; raise ApiError (400) if one of them cannot answer."""
        recipe = request.recipe
        encoded, picked_by = await self._interleaved.rows(request, assignment)
        variant = assignment.answered._replace(picked_by=picked_by)
        facts = recipe, encoded, request.parameters, variant, request.session_id
        reply = self._reply(request.tenant, request.member, request.user_id, *facts)
        return with_affinity(reply) if recipe == AFFINITY else reply

    async def _by_variant(self, request: ListRequest, unit: str, answer: _Answer) -> Reply:
        await self._experiments.read()
        began = time.perf_counter()
        surface = _SURFACES[request.recipe]
        assigned = self._experiments.assign(request.tenant, surface, unit, request.session_id)
        if assigned is None:
            return await answer(None, None)
        if assigned.is_interleaved:
            reply, assignment = await self._experiments.interleave(
                assigned, lambda: self.interleaved(request, assigned), lambda: answer(None, None)
            )
            return self._exposed(request, reply, assignment, began)
        reply, assignment = await self._experiments.answer(
            assigned, lambda strategy: answer(strategy, assigned.served(strategy))
        )
        return self._exposed(request, reply, assignment, began)

    def _exposed(
        self, request: ListRequest, reply: Reply, assignment: Assignment | None, began: float
    ) -> Reply:
        if assignment is not None:
            seconds, is_fallback = time.perf_counter() - began, assignment.is_fallback(reply.source)
            self._experiments.expose(assignment, reply.body, seconds, is_fallback=is_fallback)
            reply.assigned = assignment.headers
            self.compare(request, assignment, reply.body)
        return reply

    def compare(self, request: ListRequest, assignment: Assignment, shown: bytes | Shown) -> None:
        """Compare the answer of a variant with those of the others later, if the experiment wants it."""
        if assignment.is_compared:
            self._comparisons.later(assignment, shown, partial(self._interleaved.item_ids, request))

    async def _by_campaign(
        self,
        tenant: str,
        arn: str,
        query: RecommendationQuery,
        member: bytes,
        variant: ServedVariant | None = None,
    ) -> Reply:
        target, recommended = await by_campaign(self._targets, self._recommender, tenant, arn, query)
        source, generation = recommended.source, recommended.generation
        items = campaign_rows(self._catalogues, target, recommended, query.limit)
        request = {"item_id": query.item_id, "limit": query.limit}
        id_ = self._recorder.scored(
            target, "rest", query.user_id, arn, recommended, request, variant
        ).encode()
        return Reply(encode_body(member, items, source, generation, id_), source, generation, id_)
