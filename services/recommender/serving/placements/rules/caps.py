"""Caps: the most items of one value of a column, such as a brand.

An item with several values, such as `tea|green`, counts for each of them; one without a value is not capped.
Pinned items count, but no cap leaves them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.placements.candidates import Candidate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.recommender.serving.placements.rules.conditions import Values
    from services.recommender.serving.placements.rules.run import RuleRun
    from shared.events.placements import Cap

CAP = "cap"


def capped(run: RuleRun, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates without those whose values are already taken often enough by better ones."""
    caps = run.compiled.caps
    if caps:
        item_ids = [*run.pinned_ids, *(candidate.item_id for candidate in candidates)]
        values_of = run.compiled.conditions.values(item_ids, run.sources)
        for number, cap in enumerate(caps):
            candidates = _capped(run, candidates, number, cap, values_of)
    return candidates


def _capped(
    run: RuleRun,
    candidates: list[Candidate],
    number: int,
    cap: Cap,
    values_of: Mapping[str, Sequence[Values]],
) -> list[Candidate]:
    most, pinned_ids, counts, kept = cap.most, run.pinned_ids, dict[str, int](), list[Candidate]()
    for item_id in pinned_ids:
        _count(values_of[item_id][number], counts)
    for candidate in candidates:
        item_id = candidate.item_id
        if item_id not in pinned_ids:
            values = values_of[item_id][number]
            if _is_full(values, counts, most):
                continue
            _count(values, counts)
        kept.append(candidate)

    def detail(candidate: Candidate) -> str:
        return f"{cap.column} {'|'.join(values_of[candidate.item_id][number])}: at most {most}"

    return run.kept(CAP, candidates, kept, detail)


def _is_full(values: Values, counts: dict[str, int], most: int) -> bool:
    for value in values:  # noqa: SIM110 - a generator takes three times as long
        if counts.get(value, 0) >= most:
            return True
    return False


def _count(values: Values, counts: dict[str, int]) -> None:
    for value in values:
        counts[value] = counts.get(value, 0) + 1
