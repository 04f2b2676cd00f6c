"""The selection of an answer's items from the proposals of strategies: each item once, none excluded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from services.recommender.serving.placements.candidates import Dropped
from services.recommender.serving.placements.strategies.parts import NOTHING, viewed_items

if TYPE_CHECKING:
    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from shared.events.placements import Placement

Admits = Callable[[str], bool]
"""Returns whether an item may be in the answer."""

MAX_CANDIDATES = 500
"""Candidates of one strategy where a rule may leave out any number of them; arbitrary."""


class Selection:
    """The items that an answer has so far, and the candidates that it left out, with the reason."""

    def __init__(self, size: int, excluded: dict[str, str], admits: Admits | None = None) -> None:
        """Select `size` items. `excluded` has the reason by item; `admits` is the rule on the category."""
        self.items: list[Candidate] = []
        self.dropped: dict[str, Dropped] = {}
        self._size = size
        self._excluded = excluded
        self._admits = admits
        self._selected: set[str] = set()

    @property
    def missing(self) -> int:
        """Return the number of items that are still to be selected."""
        return self._size - len(self.items)

    @property
    def unavailable(self) -> set[str]:
        """Return the items that are selected or excluded."""
        return self._selected.union(self._excluded, self.dropped)

    def needed(self, limit: int) -> int:
        """Return the number of candidates of which `limit` are new and not excluded, if there are so many."""
        if self._admits is not None:
            return MAX_CANDIDATES
        return limit + len(self.items) + len(self._excluded)

    def add(self, candidates: Sequence[Candidate], limit: int, repeats: Collection[str] = NOTHING) -> None:
        """Select up to `limit` of the candidates. `repeats` are reasons that do not exclude them."""
        items, selected, excluded = self.items, self._selected, self._excluded
        if not items and not excluded and self._admits is None:
            kept = list(candidates[:limit])
            selected.update([candidate.item_id for candidate in kept])
            if len(selected) == len(kept):
                items += kept
                return
            selected.clear()
        end = len(items) + limit
        for candidate in candidates:
            if len(items) >= end:
                break
            item_id = candidate.item_id
            if item_id in selected:
                continue
            step = excluded.get(item_id)
            if step is None or step in repeats:
                step = None if self._admits is None or self._admits(item_id) else "category"
            if step is None:
                selected.add(item_id)
                items.append(candidate)
            else:
                self.dropped.setdefault(item_id, Dropped(item_id, candidate.strategy, step))


def excluded_items(placement: Placement, request: PlacementRequest, visitor: Visitor) -> dict[str, str]:
    """Return the items that the answer leaves out, with the reason of each; a later reason is stronger."""
    exclude = placement.exclude
    excluded: dict[str, str] = {}
    if exclude.viewed:
        excluded |= dict.fromkeys(viewed_items(visitor, len(visitor.profile.history)), "viewed")
    if exclude.purchased:
        excluded |= dict.fromkeys(visitor.profile.purchased, "purchased")
    if exclude.in_cart:
        excluded |= dict.fromkeys(request.cart, "in_cart")
    excluded |= dict.fromkeys(request.shown, "shown")
    if request.item_id is not None:
        excluded[request.item_id] = "requested"
    return excluded
