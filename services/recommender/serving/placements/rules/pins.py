"""Pins: items at fixed positions, whatever other steps say; but withdrawn and hidden items are not pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.placements.candidates import Candidate, Signal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.serving.placements.rules.compiled import ActiveRules, CompiledPin
    from services.recommender.serving.placements.rules.conditions import Bits
    from services.recommender.serving.placements.rules.run import RuleRun

PIN = "pin"


def effective_pins(
    active: ActiveRules,
    limit: int,
    shown: Collection[str],
    catalogue: Catalogue,
    matches: Mapping[str, Bits],
) -> list[CompiledPin]:
    """Return the pins of this request in the order of their positions, at most one per item.

    The first pin of an item counts. An item that is shown elsewhere on the page is not shown twice. Of two
    pins of one position the second comes next. A pin beyond the limit has no effect.
    """
    effective: list[CompiledPin] = []
    previous, hidden_ids, hidden_bits = 0, active.hidden_ids, active.hidden_bits
    for pin in active.pins:
        item_id = pin.item_id
        if item_id in shown or item_id in hidden_ids or catalogue.is_withdrawn(item_id):
            continue
        if hidden_bits and matches[item_id] & hidden_bits:
            continue
        previous = max(pin.position, previous + 1)
        if previous <= limit:
            effective.append(pin if pin.position == previous else pin._replace(position=previous))
    return effective


def pinned(run: RuleRun, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates with the pinned items at their positions, or at the end of a short list."""
    if not run.pins:
        return candidates
    run.note(PIN)
    pinned_ids = run.pinned_ids
    arranged = [candidate for candidate in candidates if candidate.item_id not in pinned_ids]
    by_id = {}
    if len(arranged) < len(candidates):
        by_id = {each.item_id: each for each in candidates if each.item_id in pinned_ids}
    for pin in run.pins:
        candidate = by_id.get(pin.item_id) or Candidate(pin.item_id, PIN)
        candidate.signals.append(Signal("pinned"))
        arranged.insert(pin.position - 1, candidate)
    return arranged
