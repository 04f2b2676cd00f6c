"""Steps that look at one item at a time and may leave it out: filters, hide, fatigue, quotas."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.rules.compiled import CompiledHide
    from services.recommender.serving.placements.rules.run import RuleRun

FILTER, HIDE, FATIGUE, QUOTA = "filter", "hide", "fatigue", "quota"


def filtered(run: RuleRun, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates that every filter of the placement admits; none if a filter can't be applied."""
    if run.filter_problem is not None:
        return run.kept(FILTER, candidates, [], lambda _: run.filter_problem)
    matches = run.matches
    for bit, name in run.compiled.filter_bits:
        kept = [candidate for candidate in candidates if matches[candidate.item_id] & bit]
        candidates = run.kept(FILTER, candidates, kept, partial(_named, name))
    return candidates


def shown(run: RuleRun, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates that no rule hides."""
    active = run.active
    hides, bits, item_ids, matches = active.hides, active.hidden_bits, active.hidden_ids, run.matches
    if not hides:
        return candidates
    if bits:
        kept = [
            candidate
            for candidate in candidates
            if not matches[candidate.item_id] & bits and candidate.item_id not in item_ids
        ]
    else:
        kept = [candidate for candidate in candidates if candidate.item_id not in item_ids]
    return run.kept(HIDE, candidates, kept, lambda candidate: _hidden_by(hides, candidate))


def not_tired_of(run: RuleRun, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates that were not shown to the visitor too often without a click."""
    fatigue, impressions = run.placement.rules.fatigue, run.impressions
    if fatigue is None or not impressions:
        return candidates
    most = fatigue.impressions
    kept = [candidate for candidate in candidates if impressions.get(candidate.item_id, 0) < most]
    return run.kept(
        FATIGUE,
        candidates,
        kept,
        lambda candidate: f"shown {impressions[candidate.item_id]} times without a click",
    )


def within_quotas(run: RuleRun, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates that fewer answers of the day contain than their quota."""
    answers, of_items, of_others = run.answers_today, run.compiled.quota_of, run.compiled.quota_of_others
    if not answers:
        return candidates
    kept = []
    for candidate in candidates:
        quota = of_items.get(candidate.item_id, of_others)
        if quota is None or answers.get(candidate.item_id, 0) < quota:
            kept.append(candidate)
    return run.kept(
        QUOTA, candidates, kept, lambda candidate: f"in {answers[candidate.item_id]} answers today"
    )


def _named(name: str, _: Candidate) -> str:
    return name


def _hidden_by(hides: list[CompiledHide], candidate: Candidate) -> str:
    if any(candidate.item_id in hide.item_ids for hide in hides):
        return "item_ids"
    return "where"


DROPPING_STEPS = (filtered, shown, not_tired_of, within_quotas)
