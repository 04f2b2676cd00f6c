"""Boosts: items rise or sink within the ranking of their strategy.

Scores of strategies have different scales, and some strategies have none, so a factor multiplies the
reciprocal rank: the item at rank r of its strategy has the score 1 / r, and a boosted one factor / r. With
the factor 2 an item at rank 6 competes with rank 3; with 0.5 it competes with rank 12. Factors of several
boosts are multiplied; equal scores keep their order. Each strategy keeps its places in the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.placements.candidates import Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.rules.compiled import ActiveRules, CompiledBoost
    from services.recommender.serving.placements.rules.conditions import Bits
    from services.recommender.serving.placements.rules.run import RuleRun

BOOST = "boost"


def boosted(run: RuleRun, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates with those of each strategy in the order of their boosted scores."""
    active = run.active
    relevant = active.boosted_bits
    if not relevant:
        return candidates
    matches = run.matches
    bits = [matches[candidate.item_id] for candidate in candidates]
    if run.request.explain:
        _explain(candidates, bits, active.boosts)
    arranged = candidates
    for places in _places_by_strategy(candidates):
        order = boosted_order([bits[place] for place in places], active)
        if order is not None:
            arranged = [*candidates] if arranged is candidates else arranged
            for place, origin in zip(places, order, strict=True):
                arranged[place] = candidates[places[origin]]
    if arranged is not candidates:
        run.note(BOOST)
    return arranged


def boosted_order(bits: Sequence[Bits], active: ActiveRules) -> list[int] | None:
    """Return the indices of a strategy's items in the order of their boosted scores; None if it stays.

    `bits` are the expressions that each item matches, best item first.
    """
    relevant = active.boosted_bits
    distinct = {each & relevant for each in bits}
    if len(distinct) < 2:
        return None  # one factor for all changes no order
    factors = {each: active.factor(each) for each in distinct}
    ranks = [rank / factors[each & relevant] for rank, each in enumerate(bits, 1)]
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    return None if order == list(range(len(ranks))) else order


def _places_by_strategy(candidates: list[Candidate]) -> list[list[int]]:
    """Return the indices of the candidates of each strategy, in ascending order."""
    places: dict[str, list[int]] = {}
    for place, candidate in enumerate(candidates):
        strategy_places = places.get(candidate.strategy)
        if strategy_places is None:
            places[candidate.strategy] = [place]
        else:
            strategy_places.append(place)
    return list(places.values())


def _explain(candidates: list[Candidate], bits: list[Bits], boosts: list[CompiledBoost]) -> None:
    for candidate, matched in zip(candidates, bits, strict=True):
        for boost in boosts:
            if matched & boost.bit:
                candidate.signals.append(Signal("boosted", boost.factor, None, boost.where))
