"""The readers that strategies share, and candidates made from lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.recommender.serving.placements.candidates import Candidate, Proposal
from shared.events import canonical_type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.serving.placements.candidates import Signal
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.recommender import Recommender
    from services.recommender.store.campaigns import Campaigns
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.list_batches import ListBatches, ListKey, StoredList
    from services.recommender.store.overrides import Overrides
    from services.recommender.store.popularity_lists import PopularityLists
    from services.recommender.store.trending import Trending
    from shared.events.placements import StrategyUse

NOTHING: frozenset[str] = frozenset()
"""The exclusions that do not apply to a strategy: none."""

_VIEWING = frozenset({"view", "click", "add_to_cart", "wishlist"})
"""Canonical types of events after which an item counts as viewed."""


class WithoutLists:
    """A strategy that reads no list with the visitor."""

    repeats: ClassVar[frozenset[str]] = NOTHING

    def list_keys(self, use: StrategyUse, request: PlacementRequest) -> Sequence[ListKey]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class StrategyParts:
    """Lists, popular items, items for sale, models and overrides, as strategies read them."""

    lists: ListBatches
    popularity: PopularityLists
    catalogues: Catalogues
    campaigns: Campaigns
    recommender: Recommender
    overrides: Overrides
    trending: Trending


def candidates_of(
    scores: Iterable[tuple[str, float | None]],
    catalogue: Catalogue,
    count: int,
    *,
    strategy: str,
    algorithm: str | None = None,
    signal: Signal,
    skip: Collection[str] = (),
) -> list[Candidate]:
    """Return the first `count` items that can be sold and are not in `skip`, as candidates."""
    visible = catalogue.visible_scores(scores, skip, count)
    return [Candidate(item_id, strategy, score, [signal], algorithm) for item_id, score in visible]


def proposal_of(stored: StoredList, candidates: Sequence[Candidate]) -> Proposal:
    """Return the candidates of a list with its source and generation; nothing without candidates."""
    return Proposal(candidates, stored.source, stored.generation) if candidates else Proposal()


def viewed_items(visitor: Visitor, limit: int) -> list[str]:
    """Return the items that the visitor viewed, each once, newest first."""
    viewed: dict[str, None] = {}
    for item_id, event_type, _ in reversed(visitor.profile.history):
        if item_id not in viewed and canonical_type(event_type) in _VIEWING:
            viewed[item_id] = None
            if len(viewed) == limit:
                break
    return list(viewed)
