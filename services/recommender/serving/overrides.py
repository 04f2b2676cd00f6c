"""Merge the overrides of a user into a list."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue, ItemScores
    from services.recommender.domain.override import Override

ALGORITHM = "override"
"""The `algorithm` of an item that an override put into a list."""


def merge(scores: ItemScores, overrides: Sequence[Override]) -> ItemScores:
    """Return the list with each override before the first item of a lower score.

    `scores` are best first; their order does not change. An override replaces the same item of the list.
    Items without a score come last. Overrides of equal scores are in the order of their item ids.
    """
    if not overrides:
        return scores
    replaced = {override.item_id for override in overrides}
    waiting = sorted(overrides, key=lambda override: (-override.score, override.item_id))
    waiting.reverse()
    merged: ItemScores = []
    for item_id, score in scores:
        if item_id in replaced:
            continue
        while waiting and (score is None or waiting[-1].score >= score):
            best = waiting.pop()
            merged.append((best.item_id, best.score))
        merged.append((item_id, score))
    merged.extend((override.item_id, override.score) for override in reversed(waiting))
    return merged


def encode_merged(
    catalogue: Catalogue,
    scores: ItemScores,
    overrides: Sequence[Override],
    excluded: set[str],
    limit: int,
    algorithm: str,
) -> list[bytes]:
    """Return a merged list as `Catalogue.encode` does; the `algorithm` of an override is `ALGORITHM`."""
    overridden = {override.item_id for override in overrides}
    encoded: list[bytes] = []
    for is_override, run in groupby(scores, key=lambda each: each[0] in overridden):
        chosen_by = ALGORITHM if is_override else algorithm
        encoded += catalogue.encode([*run], excluded, limit - len(encoded), chosen_by)
        if len(encoded) == limit:
            break
    return encoded
