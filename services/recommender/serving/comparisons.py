"""Comparisons of a shown answer with those of the other variants, for triggered analysis.

A unit whose answers would be the same by every variant has no effect to show: it only adds noise. The
variants that were not shown answer in the background; the first answer that differs is recorded as an
exposure with a mark, and the answers to that unit are not compared any more.

See docs/experiments.md.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from services.recommender.metrics import COMPARED
from services.recommender.store.exposures import Shown, shown_in

if TYPE_CHECKING:
    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.experiments import Experiments
    from services.recommender.serving.unseen_answers import UnseenAnswers
    from shared.experiments import Variant

ItemIds = Callable[["Variant"], Awaitable[Sequence[str] | None]]
"""From a variant to the items of its answer; None for a variant that cannot answer."""


class Comparisons:
    """Compares answers later, and marks units whose answers differ."""

    def __init__(self, experiments: Experiments, unseen: UnseenAnswers) -> None:
        self._experiments = experiments
        self._unseen = unseen

    def later(self, assignment: Assignment, shown: bytes | Shown, item_ids: ItemIds) -> None:
        """Compare a shown answer, `Shown` or a REST body, with what `item_ids` returns for each variant."""
        step = partial(self._compare, assignment, shown, time.time(), item_ids)
        self._unseen.later([step], COMPARED, "compared")

    async def _compare(
        self, assignment: Assignment, shown: bytes | Shown, at: float, item_ids: ItemIds
    ) -> None:
        answer = shown_in(shown) if isinstance(shown, bytes) else shown
        for variant in assignment.experiment.enabled:
            if variant.name == assignment.variant.name:
                continue
            unseen_ids = await item_ids(variant)
            if unseen_ids is not None and tuple(unseen_ids) != answer.item_ids:
                self._experiments.mark_difference(assignment, answer, at)
                return
