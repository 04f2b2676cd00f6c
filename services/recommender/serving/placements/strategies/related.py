"""similar, bought-together and because-you-viewed: the lists of one item or of several, combined."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from services.recommender.domain.recipes import SIMILAR, TOGETHER
from services.recommender.serving.placements.candidates import Candidate, Proposal, Signal
from services.recommender.serving.placements.strategies.live import related_scores
from services.recommender.serving.placements.strategies.parts import NOTHING, WithoutLists, viewed_items
from services.recommender.serving.recommendation import MODEL
from services.recommender.store.list_batches import StoredList

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.parts import StrategyParts
    from services.recommender.store.list_batches import ListKey
    from shared.events.placements import StrategyUse

MAX_CART_ITEMS = 20
"""Items of a cart whose lists are combined, the last ones. Arbitrary."""
VIEWED_ITEMS = 5
VIEWED_DECAY = 0.8
"""Number of viewed items whose lists are combined, and the weight of each beside the one viewed after it.
Arbitrary."""


class _Source(NamedTuple):
    """The related items of one item."""

    item_id: str
    weight: float
    stored: StoredList


class _Related:
    """Reads and combines the lists of items; a loaded model replaces lists that are missing."""

    repeats: ClassVar[frozenset[str]] = NOTHING

    def __init__(self, parts: StrategyParts) -> None:
        self._parts = parts

    def _sources(
        self,
        tenant: str,
        recipe: str,
        weights: Mapping[str, float],
        lists: Mapping[ListKey, StoredList],
        count: int,
    ) -> list[_Source]:
        """Return the related items of each item that has any."""
        deployed = self._parts.campaigns.newest(tenant, recipe)
        sources = []
        for item_id, weight in weights.items():
            stored = lists.get((recipe, item_id))
            if (stored is None or not stored.items) and deployed is not None:
                stored = StoredList(related_scores(deployed, item_id, count), MODEL)
            if stored is not None and stored.items:
                sources.append(_Source(item_id, weight, stored))
        return sources

    def _proposal(
        self, tenant: str, strategy: str, recipe: str, signal: str, sources: Sequence[_Source], count: int
    ) -> Proposal:
        """Return the items of all lists without the items that the lists belong to, best first."""
        if not sources:
            return Proposal()
        is_withdrawn = self._parts.catalogues.of(tenant).is_withdrawn
        own = {source.item_id for source in sources}
        candidates: list[Candidate] = []
        for item_id, score, origin in _ranked(sources):
            if item_id in own or is_withdrawn(item_id):
                continue
            if len(candidates) >= count:
                break
            signals = [Signal(signal, score, origin)]
            candidates.append(Candidate(item_id, strategy, score, signals, recipe))
        first = sources[0].stored
        return Proposal(candidates, first.source, first.generation) if candidates else Proposal()


class Similar(_Related):
    """Items similar to the requested one."""

    name: ClassVar[str] = "similar"

    def list_keys(self, use: StrategyUse, request: PlacementRequest) -> Sequence[ListKey]:
        """Return the list of the requested item."""
        return [(SIMILAR, request.item_id)] if request.item_id is not None else ()

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the items of the list; nothing without a requested item."""
        if request.item_id is None:
            return Proposal()
        weights = {request.item_id: 1.0}
        sources = self._sources(request.tenant, SIMILAR, weights, visitor.lists, count)
        return self._proposal(request.tenant, self.name, SIMILAR, "list", sources, count)


class BoughtTogether(_Related):
    """Items that are bought together with the requested item and those in the cart.

    Without lists or a model of purchases, similar items answer.
    """

    name: ClassVar[str] = "bought-together"

    def list_keys(self, use: StrategyUse, request: PlacementRequest) -> Sequence[ListKey]:
        """Return the lists of the requested item and of the cart."""
        return [(recipe, item_id) for recipe in (TOGETHER, SIMILAR) for item_id in _cart(request)]

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the items of all lists, best first; nothing without an item."""
        weights = dict.fromkeys(_cart(request), 1.0)
        for recipe in (TOGETHER, SIMILAR):
            sources = self._sources(request.tenant, recipe, weights, visitor.lists, count)
            proposal = self._proposal(request.tenant, self.name, recipe, "bought_with", sources, count)
            if proposal.candidates:
                return proposal
        return Proposal()


class BecauseYouViewed(WithoutLists, _Related):
    """Items similar to those that the visitor viewed last."""

    name: ClassVar[str] = "because-you-viewed"

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the items of the lists of the last viewed items; nothing without a history."""
        viewed = viewed_items(visitor, VIEWED_ITEMS)
        if not viewed:
            return Proposal()
        weights = {item_id: VIEWED_DECAY**place for place, item_id in enumerate(viewed)}
        lists = await self._parts.lists.read(request.tenant, [(SIMILAR, item_id) for item_id in viewed])
        sources = self._sources(request.tenant, SIMILAR, weights, lists, count)
        return self._proposal(request.tenant, self.name, SIMILAR, "viewed", sources, count)


def _cart(request: PlacementRequest) -> list[str]:
    item_ids = [*request.cart[-MAX_CART_ITEMS:]]
    if request.item_id is not None:
        item_ids.insert(0, request.item_id)
    return list(dict.fromkeys(item_ids))


def _ranked(sources: Sequence[_Source]) -> list[tuple[str, float | None, str]]:
    """Return (item, score, item whose list it is from), best first.

    Scores of several lists are shares of each list's highest score, weighted and added up.
    """
    if len(sources) == 1:
        (source,) = sources
        return [(item_id, score, source.item_id) for item_id, score in source.stored.items]
    totals: dict[str, float] = {}
    origins: dict[str, tuple[float, str]] = {}
    for source in sources:
        for item_id, share in _shares(source.stored.items):
            weighted = source.weight * share
            totals[item_id] = totals.get(item_id, 0.0) + weighted
            if item_id not in origins or weighted > origins[item_id][0]:
                origins[item_id] = (weighted, source.item_id)
    ranked = sorted(totals, key=lambda item_id: -totals[item_id])
    return [(item_id, round(totals[item_id], 7), origins[item_id][1]) for item_id in ranked]


def _shares(scores: ItemScores) -> list[tuple[str, float]]:
    highest = max((score for _, score in scores if score is not None), default=0.0)
    if highest <= 0:
        return [(item_id, 1 / rank) for rank, (item_id, _) in enumerate(scores, 1)]
    return [(item_id, max(score or 0.0, 0.0) / highest) for item_id, score in scores]
