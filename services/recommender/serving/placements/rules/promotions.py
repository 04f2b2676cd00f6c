"""Promotions: a share of the answer for the items that an expression includes.

The share is rounded half up, as for promotions of GetRecommendations. Promoted items are the best candidates
that match; they stand at random positions, in their own order. Too few of them leave their places to others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.blending import blend, promoted_count
from services.recommender.serving.placements.candidates import Signal

if TYPE_CHECKING:
    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.rules.run import RuleRun

PROMOTION = "promotion"


def promoted(run: RuleRun, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates with promoted ones among the first `limit`, without pinned ones."""
    active = run.active.promotions
    if not active:
        return candidates
    pinned_ids, matches = run.pinned_ids, run.matches
    places = run.limit - len(pinned_ids)
    unpinned = candidates
    if pinned_ids:
        unpinned = [candidate for candidate in candidates if candidate.item_id not in pinned_ids]
    chosen: dict[str, Candidate] = {}
    for promotion in active:
        count = min(promoted_count(run.limit, promotion.percent), places - len(chosen))
        matching = (
            each for each in unpinned if matches[each.item_id] & promotion.bit and each.item_id not in chosen
        )
        for candidate in [each for each, _ in zip(matching, range(count), strict=False)]:
            candidate.signals.append(Signal("promoted", None, None, promotion.name))
            chosen[candidate.item_id] = candidate
    if not chosen:
        return candidates
    run.note(PROMOTION)
    first = blend(list(chosen.values()), unpinned, places, run.sources.rng)
    first_ids = {candidate.item_id for candidate in first} | chosen.keys()
    return first + [candidate for candidate in candidates if candidate.item_id not in first_ids]
