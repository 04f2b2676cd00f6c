"""Publish exposures to Kafka in the background: no answer waits, and none is lost with its process."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from services.recommender.metrics import EXPOSURES, WAITING
from services.recommender.store.exposures import AnswerFacts, Exposure, Shown, exposure_id
from shared.errors import Permanent, Transient
from shared.events.topics import EXPOSURES as TOPIC

if TYPE_CHECKING:
    from services.recommender.store.exposure_journal import ExposureJournal
    from shared.events import VariantExposed
    from shared.experiments import Experiment, Variant
    from shared.kafka import Publisher

BATCH = 500
DAY_SECONDS = 86_400
RETRY_SECONDS = 0.5
STOP_SECONDS = 4.0
NO_FACTS: Final = AnswerFacts()
MAX_REMEMBERED = 200_000
"""Exposures that are remembered, so that one is published once a day. Arbitrary."""

_PUBLISHED, _REPEATED, _LOST, _TAKEN_OVER = (
    EXPOSURES.labels(outcome) for outcome in ("published", "repeated", "lost", "taken_over")
)

log = structlog.get_logger()


class ExposurePublisher:
    """A bounded buffer in front of the publisher. A part that stops before the publisher does.

    The journal has what is in the buffer, and what is on its way to Kafka.
    """

    name = "exposures"

    def __init__(self, publisher: Publisher, journal: ExposureJournal, max_waiting: int) -> None:
        """Keep at most `max_waiting` exposures while Kafka is unavailable; then drop the oldest."""
        self._publisher = publisher
        self._journal = journal
        self._max_waiting = max_waiting
        self._waiting: deque[Exposure] = deque()
        self._remembered: OrderedDict[tuple[str, str, int, str, int, bool], None] = OrderedDict()
        self._added = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take over what earlier processes did not publish, and start to publish."""
        taken = self._journal.take_over()
        for content in taken:
            try:
                self._waiting.append(Exposure.of_content(content))
            except (ValueError, TypeError, IndexError):
                self._lose(1)
        if taken:
            _TAKEN_OVER.inc(len(taken))
            log.info("exposures.taken_over", count=len(taken))
            self._added.set()
        self._task = asyncio.create_task(self._publish_all(), name="exposures")

    async def stop(self) -> None:
        """Publish waiting exposures within a few seconds; leave the others to the next process."""
        self._stopping = True
        self._added.set()
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            if not done:
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=1)
        waiting, kept = len(self._waiting), self._journal.close()
        if kept:
            log.warning(
                "exposures.left", count=kept, reason="Kafka did not take them before the process stopped"
            )
        if waiting > kept:
            _LOST.inc(waiting - kept)
            log.warning("exposures.lost", count=waiting - kept, reason="the process stopped without a folder")

    def alive(self) -> str | None:
        """Return why exposures are no longer published; None while they are."""
        if self._task is not None and self._task.done() and not self._stopping:
            return "publishing exposures stopped because of a defect; see the log"
        return None

    def ready(self) -> str | None:
        """Return None: answers do not wait for exposures."""
        return None

    def add(
        self,
        experiment: Experiment,
        variant: Variant,
        unit: str,
        answer: bytes | Shown,
        *,
        at: float | None = None,
        differs: bool = False,
        facts: AnswerFacts = NO_FACTS,
    ) -> None:
        """Add an exposure, unless there was one of the same unit, version and UTC day (or window).

        `at` are seconds since 1970, by default now. With `differs` it marks that the answers of the variants
        differ, once a day as well.
        """
        now = time.time() if at is None else at
        window = experiment.window(now)
        period = int(now // DAY_SECONDS) if window is None else window
        key = (experiment.tenant, experiment.name, experiment.version, unit, period, differs)
        if key in self._remembered:
            _REPEATED.inc()
            return
        self._remembered[key] = None
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        if len(self._waiting) >= self._max_waiting:
            self._waiting.popleft()
            self._lose(1)
        exposure = Exposure(
            exposure_id(experiment, unit, datetime.fromtimestamp(now, UTC), differs=differs),
            experiment.tenant,
            experiment.name,
            experiment.version,
            experiment.surface,
            variant.name,
            experiment.propensity(variant),
            window,
            unit,
            now,
            differs,
            facts,
            answer,
        )
        self._journal.append(exposure.content())
        self._waiting.append(exposure)
        self._added.set()

    def repeated(self) -> None:
        """Count an exposure that was added before on the same day."""
        _REPEATED.inc()

    async def _publish_all(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._added.wait()
            if not self._stopping:
                self._added.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                WAITING.set(len(self._waiting) + len(batch))
                await self._publish(batch)
            WAITING.set(0)

    async def _publish(self, batch: list[Exposure]) -> None:
        valid, events = _events(batch)
        if len(valid) < len(batch):
            self._lose(len(batch) - len(valid))
        if not events:
            return
        try:
            await self._publisher.publish(TOPIC, events)
        except Transient as error:
            # They may have been written; events with the same id count once.
            log.warning("exposures.not_published", error=str(error), count=len(valid))
            self._waiting.extendleft(reversed(valid))
            await asyncio.sleep(RETRY_SECONDS)
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(valid))
            raise
        except Permanent as error:
            self._lose(len(valid))
            log.error("exposures.rejected", error=str(error), count=len(valid))  # noqa: TRY400
        else:
            self._journal.settle(len(valid))
            _PUBLISHED.inc(len(valid))

    def _lose(self, count: int) -> None:
        self._journal.settle(count)
        _LOST.inc(count)


def _events(batch: list[Exposure]) -> tuple[list[Exposure], list[VariantExposed]]:
    """Return the exposures of a batch that make valid events, and these."""
    valid, events = [], []
    for exposure in batch:
        try:
            events.append(exposure.event())
        except Exception as error:  # noqa: BLE001 - no answer, whatever it contains, may stop the publishing
            log.error("exposures.invalid", experiment=exposure.experiment, error=str(error))  # noqa: TRY400
        else:
            valid.append(exposure)
    return valid, events
