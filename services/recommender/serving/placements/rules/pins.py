"""Pins: items at fixed positions, whatever other steps say; but withdrawn and hidden items are not pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.placements.candidates import Candidate, Signal

if TYPE_CHECKING:
    from services.recommender.serving.placements.rules.compiled import CompiledPin
    from services.recommender.serving.placements.rules.run import RuleRun

PIN = "pin"


def effective_pins(run: RuleRun) -> list[CompiledPin]:
    """Return the pins of this request in the order of their positions, at most one per item.

    The first pin of an item counts. An item that is shown elsewhere on the page is not shown twice. Of two
    pins of one position the second comes next. A pin beyond the limit has no effect.
    """
    effective: list[CompiledPin] = []
    previous, shown = 0, run.request.shown
    for pin in run.active.pins:
        if pin.item_id in shown or _is_hidden(run, pin.item_id):
            continue
        previous = max(pin.position, previous + 1)
        if previous <= run.limit:
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


def _is_hidden(run: RuleRun, item_id: str) -> bool:
    hidden_bits = run.active.hidden_bits
    if item_id in run.active.hidden_ids or run.sources.catalogue.is_withdrawn(item_id):
        return True
    return bool(hidden_bits) and bool(run.matches[item_id] & hidden_bits)
