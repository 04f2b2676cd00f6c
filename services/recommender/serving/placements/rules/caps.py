"""Caps: the most items of one value of a column, such as a brand.

An item with several values, such as `tea|green`, counts for each of them; one without a value is not capped.
Pinned items count, but no cap leaves them out.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.rules.run import RuleRun
    from shared.events.placements import Cap

CAP = "cap"


def capped(run: RuleRun, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates without those whose values are already taken often enough by better ones."""
    for number, cap in enumerate(run.compiled.caps):
        candidates = _capped(run, candidates, number, cap)
    return candidates


def _capped(run: RuleRun, candidates: list[Candidate], number: int, cap: Cap) -> list[Candidate]:
    read_values, sources, most = run.compiled.conditions.values, run.sources, cap.most
    pinned_ids = {pin.item_id for pin in run.pins}
    counts = Counter(value for item_id in pinned_ids for value in read_values(item_id, number, sources))
    kept = []
    for candidate in candidates:
        if candidate.item_id not in pinned_ids:
            values = read_values(candidate.item_id, number, sources)
            if any(counts[value] >= most for value in values):
                continue
            counts.update(values)
        kept.append(candidate)

    def detail(candidate: Candidate) -> str:
        return f"{cap.column} {'|'.join(read_values(candidate.item_id, number, sources))}: at most {most}"

    return run.kept(CAP, candidates, kept, detail)
