"""Variants of a placement that answer a request as well, unseen: shadows, and those that are compared.

See docs/experiments.md.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from services.recommender.metrics import SHADOWS
from services.recommender.store.exposures import Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.serving.comparisons import Comparisons
    from services.recommender.serving.placements.candidates import PlacementAnswer
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.serving.placements.interleaving import VariantPlacement
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.serving.unseen_answers import UnseenAnswers
    from shared.experiments import Experiment, Variant


class Shadows(NamedTuple):
    """The experiment for which variants answer unseen, and these."""

    experiment: Experiment
    variants: Sequence[VariantPlacement]


class ShadowFacts(NamedTuple):
    """Facts by which a shadow is compared: the shown answer, and its share of items that both have."""

    of: str
    overlap: float
    milliseconds: float
    shown_milliseconds: float
    size: int


class ShadowAnswers:
    """Lets variants answer the requests of the answers that a recorder records."""

    def __init__(
        self,
        engine: PlacementEngine,
        recorder: AnswerRecorder,
        comparisons: Comparisons,
        unseen: UnseenAnswers,
    ) -> None:
        self._engine = engine
        self._recorder = recorder
        self._comparisons = comparisons
        self._unseen = unseen
        recorder.shadow = self.add

    def add(self, shown: PlacementAnswer, id_: str) -> None:
        """Let the variants answer the request of a shown answer later.

        With an assignment the answer is compared; else the answers of the variants are recorded as shadows.
        """
        assert shown.shadows is not None
        if shown.assignment is not None:
            items = tuple(item.item_id for item in shown.items)
            self._comparisons.later(shown.assignment, Shown(id_, items), partial(self._item_ids, shown))
            return
        steps = [partial(self._answer, variant, shown, id_) for variant in shown.shadows.variants]
        self._unseen.later(steps, SHADOWS, "answered")

    async def _item_ids(self, shown: PlacementAnswer, variant: Variant) -> Sequence[str] | None:
        assert shown.shadows is not None
        for each in shown.shadows.variants:
            if each.name == variant.name:
                answer = await self._engine.trial(each.named, shown.request)
                return [item.item_id for item in answer.items]
        return None

    async def _answer(self, variant: VariantPlacement, shown: PlacementAnswer, id_: str) -> None:
        assert shown.shadows is not None
        began = time.perf_counter()
        answer = await self._engine.trial(variant.named, shown.request)
        milliseconds = (time.perf_counter() - began) * 1000
        shown_ids = {item.item_id for item in shown.items}
        common = sum(item.item_id in shown_ids for item in answer.items)
        facts = ShadowFacts(
            id_,
            round(common / len(shown_ids), 4) if shown_ids else 0.0,
            round(milliseconds, 3),
            round(shown.seconds * 1000, 3),
            shown.request.limit or variant.named.placement.limit,
        )
        self._recorder.shadow_answer(answer, shown.shadows.experiment, variant.name, facts)
