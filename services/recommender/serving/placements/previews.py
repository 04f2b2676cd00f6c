"""Previews: recent requests of a placement, answered by the placement as it is and by a changed definition.

The answers are made now, for the present state of each visitor, so they differ by the definition alone.
Nothing is recorded, published or counted.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from services.recommender.serving.placements.request import PlacementRequest
from shared.filters.placement_definitions import Names, check

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from services.recommender.serving.placements.candidates import Candidate, Dropped, PlacementAnswer
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.store.campaigns import Campaigns
    from services.recommender.store.erasures import ErasedServings
    from services.recommender.store.filters import Filters
    from services.recommender.store.serving_log import ServingLog
    from shared.events.placements import Placement
    from shared.events.servings import Serving

CONCURRENT_REQUESTS = 8
"""Requests of a preview that are answered at the same time. Arbitrary: previews must not delay shoppers."""


class PlacedItem(NamedTuple):
    """An item at a position, from 1. `previous` is where it was; None if it was not there."""

    item: Candidate
    position: int
    previous: int | None = None


class RemovedItem(NamedTuple):
    """An item that was at a position; `dropped` says which step left it out, None if it was outranked."""

    item: Candidate
    previous: int
    dropped: Dropped | None


class AnswerChange(NamedTuple):
    """The difference between two answers to a request. `is_new` if there is no such placement yet."""

    request: PlacementRequest
    items: Sequence[Candidate]
    added: Sequence[PlacedItem]
    removed: Sequence[RemovedItem]
    moved: Sequence[PlacedItem]
    revision: int | None
    is_new: bool

    @property
    def is_empty(self) -> bool:
        """Return whether both answers are equal."""
        return not (self.added or self.removed or self.moved)


class Previews:
    """Answers requests by a definition that is not stored."""

    def __init__(
        self,
        engine: PlacementEngine,
        servings: ServingLog,
        erased: ErasedServings,
        campaigns: Campaigns,
        filters: Filters,
        kept: timedelta,
    ) -> None:
        """Repeat requests that are at most `kept` old."""
        self._engine = engine
        self._servings = servings
        self._erased = erased
        self._campaigns = campaigns
        self._filters = filters
        self._kept = kept

    async def check(self, tenant: str, placement: Placement) -> None:
        """Raise Permanent that names every member of a definition that cannot be served."""
        campaigns = {use.campaign for use in placement.strategies if use.campaign is not None}
        for name in list(campaigns):
            if await self._campaigns.find(tenant, None, name) is None:
                campaigns.remove(name)
        filters = {}
        for use in placement.filters:
            parsed = await self._filters.find(tenant, use.name)
            if parsed is not None:
                filters[use.name] = parsed.expression
        check(placement, Names(frozenset(campaigns), filters))

    async def recent(self, tenant: str, placement: str, count: int) -> list[PlacementRequest]:
        """Return the last requests of a placement, newest first, without those of erased users.

        Raise Transient without Kafka or Redis.
        """
        oldest = datetime.now(UTC) - self._kept
        servings = await self._servings.recent(tenant, placement, count)
        return [
            request_of(tenant, placement, serving)
            for serving in servings
            if serving.served_at >= oldest and not await self._erased.contains(tenant, serving)
        ]

    async def compare(self, requests: Sequence[PlacementRequest], changed: Placement) -> list[AnswerChange]:
        """Return what a definition changes in the answer to each request, which are of one tenant."""
        turns = asyncio.Semaphore(CONCURRENT_REQUESTS)

        async def of_request(request: PlacementRequest) -> AnswerChange:
            async with turns:
                return change(*await self._engine.compare(request, changed))

        try:
            return await asyncio.gather(*map(of_request, requests))
        finally:
            for tenant in {request.tenant for request in requests}:
                self._engine.forget(tenant, changed)


def change(before: PlacementAnswer | None, after: PlacementAnswer) -> AnswerChange:
    """Return the difference between two answers."""
    items = [] if before is None else before.items
    previous = {item.item_id: position for position, item in enumerate(items, 1)}
    placed = [
        PlacedItem(item, position, previous.get(item.item_id)) for position, item in enumerate(after.items, 1)
    ]
    shown = {item.item_id for item in after.items}
    dropped = {drop.item_id: drop for drop in after.dropped}
    return AnswerChange(
        after.request,
        after.items,
        [each for each in placed if each.previous is None],
        [
            RemovedItem(item, position, dropped.get(item.item_id))
            for position, item in enumerate(items, 1)
            if item.item_id not in shown
        ],
        [each for each in placed if each.previous not in {None, each.position}],
        None if before is None else before.revision,
        before is None,
    )


def request_of(tenant: str, placement: str, serving: Serving) -> PlacementRequest:
    """Return the request that a serving answered."""
    parameters = serving.request
    return PlacementRequest(
        tenant,
        placement,
        serving.user_id,
        serving.session_id,
        parameters.get("item_id"),
        tuple(parameters.get("cart", ())),
        parameters.get("category"),
        parameters.get("city"),
        parameters.get("province"),
        parameters.get("country"),
        parameters.get("limit"),
        shown=frozenset(parameters.get("shown", ())),
    )
