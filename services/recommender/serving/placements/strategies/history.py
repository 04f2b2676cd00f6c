"""recently-viewed and buy-again: items of the visitor's own history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar

from services.recommender.domain.recipes import USER
from services.recommender.serving.placements.candidates import Candidate, Proposal, Signal
from services.recommender.serving.placements.strategies.parts import WithoutLists, candidates_of, viewed_items
from shared.events import canonical_type

if TYPE_CHECKING:
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.parts import StrategyParts
    from shared.events.placements import StrategyUse
    from shared.models import Model

HISTORY = b"history"
"""The source of an answer that begins with items of the visitor's own history."""
PURCHASE = "purchase"
SECONDS_PER_DAY = 86_400
USUAL_DAYS = 30.0
"""Days until an item is due again that was purchased on one day only. Arbitrary."""
DUE_FROM = 0.5
"""Share of the time between purchases after which an item is proposed again. Arbitrary."""


class RecentlyViewed(WithoutLists):
    """Items that the visitor viewed, newest first."""

    name: ClassVar[str] = "recently-viewed"
    repeats: ClassVar[frozenset[str]] = frozenset({"viewed"})

    def __init__(self, parts: StrategyParts) -> None:
        self._parts = parts

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the viewed items, each once."""
        viewed = [(item_id, None) for item_id in viewed_items(visitor, len(visitor.profile.history))]
        catalogue = self._parts.catalogues.of(request.tenant)
        candidates = candidates_of(viewed, catalogue, count, strategy=self.name, signal=Signal("viewed"))
        return Proposal(candidates, HISTORY if candidates else b"")


class BuyAgain(WithoutLists):
    """Items that the visitor purchased before and will likely need again.

    The time between the visitor's own purchases of an item says when it is due; an item that was purchased
    once is due after a usual time. Purchases come from the history and from the training data of the model.
    """

    name: ClassVar[str] = "buy-again"
    repeats: ClassVar[frozenset[str]] = frozenset({"purchased", "viewed"})

    def __init__(self, parts: StrategyParts, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._clock = clock

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the items that are due, those purchased most often and longest due first."""
        now, scored = self._clock(), []
        for item_id, days in self._purchase_days(request.tenant, visitor).items():
            score = due_score(days, now / SECONDS_PER_DAY)
            if score:
                scored.append((item_id, score, len(days)))
        scored.sort(key=lambda row: -row[1])
        is_withdrawn = self._parts.catalogues.of(request.tenant).is_withdrawn
        candidates = [
            Candidate(item_id, self.name, score, [Signal("bought_before", float(purchases))])
            for item_id, score, purchases in scored
            if not is_withdrawn(item_id)
        ]
        return Proposal(candidates[:count], HISTORY if candidates else b"")

    def _purchase_days(self, tenant: str, visitor: Visitor) -> dict[str, set[int]]:
        """Return the days (since 1970) on which the visitor purchased each item."""
        days: dict[str, set[int]] = {}
        deployed = self._parts.campaigns.newest(tenant, USER)
        trained = _trained_purchases(deployed.model, visitor) if deployed and deployed.model else ()
        for item_id, seconds in (*trained, *_recent_purchases(visitor)):
            days.setdefault(item_id, set()).add(seconds // SECONDS_PER_DAY)
        return days


def due_score(days: set[int], today: float) -> float:
    """Return 0 to 1: more for items that were purchased often and are due; 0 for those not due yet.

    `days` are the days of the purchases since 1970, as `today`.
    """
    first, last = min(days), max(days)
    interval = max((last - first) / (len(days) - 1), 1.0) if len(days) > 1 else USUAL_DAYS
    elapsed = (today - last) / interval
    if elapsed < DUE_FROM:
        return 0.0
    # It is due at 1; beyond that the visitor less and less likely still needs it.
    timeliness = min(elapsed, 1.0) / max(elapsed, 1.0)
    return round(len(days) / (len(days) + 1) * timeliness, 7)


def _recent_purchases(visitor: Visitor) -> Iterable[tuple[str, int]]:
    return (
        (item_id, seconds)
        for item_id, event_type, seconds in visitor.profile.history
        if canonical_type(event_type) == PURCHASE
    )


def _trained_purchases(model: Model, visitor: Visitor) -> Iterable[tuple[str, int]]:
    """Return the purchases (item, epoch seconds) among the user's events in the training data."""
    user = model.users.find(visitor.model_user_id or "")
    types = model.scoring.event_types
    if user is None or PURCHASE not in types:
        return ()
    events, ids, purchase = model.histories.table(user), model.items.strings, types.index(PURCHASE)
    return [(ids[item], seconds) for item, kind, seconds in events.tolist() if kind == purchase]
