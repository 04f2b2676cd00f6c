"""Shadow answers: variants of an experiment that answer requests as well, and that nobody sees.

They are made after the answer that the visitor gets, one at a time; those for which there is no time are left
out and counted. So neither a slow nor a failing variant changes an answer.

See docs/experiments.md.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from services.recommender.metrics import SHADOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.serving.placements.candidates import PlacementAnswer
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.serving.placements.interleaving import VariantPlacement
    from services.recommender.serving.recorder import AnswerRecorder
    from shared.experiments import Experiment

MAX_WAITING: Final = 20
"""Requests that wait for their shadows; later ones get none. Arbitrary."""
SECONDS: Final = 1.0
"""The longest time of a shadow answer. Arbitrary."""
PAUSE_SECONDS: Final = 0.005
"""Pause before each shadow answer, in which answers that visitors wait for come first. Arbitrary."""

_ANSWERED, _DROPPED, _FAILED = (SHADOWS.labels(outcome) for outcome in ("answered", "dropped", "failed"))

log = structlog.get_logger()


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
    """Makes shadow answers in the background. A part that stops before the publisher does."""

    name = "shadows"

    def __init__(self, engine: PlacementEngine, recorder: AnswerRecorder) -> None:
        self._engine = engine
        self._recorder = recorder
        self._waiting: deque[tuple[PlacementAnswer, str]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take the answers that the recorder records."""
        self._recorder.shadow = self.add

    async def stop(self) -> None:
        """Leave out what waits."""
        self._recorder.shadow = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=SECONDS)

    def alive(self) -> str | None:
        """Return None: what fails is counted."""
        return None

    def ready(self) -> str | None:
        """Return None: no answer waits for a shadow."""
        return None

    def add(self, shown: PlacementAnswer, id_: str) -> None:
        """Let the variants answer the request of a shown answer later."""
        if len(self._waiting) >= MAX_WAITING:
            _DROPPED.inc()
            return
        self._waiting.append((shown, id_))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name=self.name)

    async def _work(self) -> None:
        while self._waiting:
            shown, id_ = self._waiting.popleft()
            for variant in () if shown.shadows is None else shown.shadows.variants:
                await asyncio.sleep(PAUSE_SECONDS)
                try:
                    await self._answer(variant, shown, id_)
                except Exception as error:  # noqa: BLE001 - whatever a variant does, shown answers go on
                    _FAILED.inc()
                    log.warning("shadows.failed", variant=variant.name, error=repr(error))
                else:
                    _ANSWERED.inc()

    async def _answer(self, variant: VariantPlacement, shown: PlacementAnswer, id_: str) -> None:
        assert shown.shadows is not None
        began = time.perf_counter()
        async with asyncio.timeout(SECONDS):
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
