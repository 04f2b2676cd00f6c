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
        """Return the number of items that are still to be selected; negative if there are more."""
        return self._size - len(self.items)

    def limit_to(self, size: int) -> None:
        """Select `size` items from now on; those that are selected stay."""
        self._size = size

    @property
    def unavailable(self) -> set[str]:
        """Return the items that are selected or excluded."""
        return self._selected.union(self._excluded, self.dropped)

    def needed(self, limit: int) -> int:
        """Return the number of candidates of which `limit` are new and not excluded, if there are so many."""
        if self._admits is not None:
            return MAX_CANDIDATES
        return limit + len(self.items) + len(self._excluded)

    def eligible(
        self, candidates: Sequence[Candidate], repeats: Collection[str] = NOTHING
    ) -> Sequence[Candidate]:
        """Return the candidates that are new and not excluded. `repeats` are reasons that do not exclude."""
        excluded, selected = self._excluded, self._selected
        if not excluded and not selected and self._admits is None:
            return candidates
        eligible = []
        for candidate in candidates:
            item_id = candidate.item_id
            if item_id in selected:
                continue
            step = excluded.get(item_id)
            if step is None or step in repeats:
                step = None if self._admits is None or self._admits(item_id) else "category"
            if step is None:
                eligible.append(candidate)
            else:
                self.dropped.setdefault(item_id, Dropped(item_id, candidate.strategy, step))
        return eligible

    def take(self, candidates: Sequence[Candidate], limit: int) -> int:
        """Select up to `limit` of eligible candidates, each item once; return their number."""
        items, selected = self.items, self._selected
        before, end = len(items), len(items) + limit
        if not selected and limit > 0:
            # The usual case, in half of the time: no item is there twice.
            first = candidates[:limit]
            first_ids = {candidate.item_id for candidate in first}
            if len(first_ids) == len(first):
                selected.update(first_ids)
                items.extend(first)
                return len(first)
        for candidate in candidates:
            if len(items) >= end:
                break
            if candidate.item_id not in selected:
                selected.add(candidate.item_id)
                items.append(candidate)
        return len(items) - before


def excluded_items(
    placement: Placement, request: PlacementRequest, visitor: Visitor, *, ignore_history: bool = False
) -> dict[str, str]:
    """Return the items that the answer leaves out, with the reason of each; a later reason is stronger.

    With `ignore_history` purchased and viewed items stay: a filter of the placement asks for them.
    """
    exclude, profile = placement.exclude, visitor.profile
    excluded: dict[str, str] = {}
    if exclude.viewed and not ignore_history:
        excluded |= dict.fromkeys(viewed_items(visitor, len(profile.history)), "viewed")
    if profile.purchased and exclude.purchased and not ignore_history:
        excluded |= dict.fromkeys(profile.purchased, "purchased")
    if request.cart and exclude.in_cart:
        excluded |= dict.fromkeys(request.cart, "in_cart")
    if request.shown:
        excluded |= dict.fromkeys(request.shown, "shown")
    if request.item_id is not None:
        excluded[request.item_id] = "requested"
    return excluded
