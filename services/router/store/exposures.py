"""Exposures on their way to Kafka: they never delay an answer, and losses are counted."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import structlog

from services.router.metrics import EXPOSURES, WAITING
from shared.errors import Permanent, Transient
from shared.events import VariantExposed, derived_id
from shared.events.topics import EXPOSURES as TOPIC

if TYPE_CHECKING:
    from services.router.domain.experiments import Experiment, Variant
    from shared.kafka import Publisher

BATCH = 500
PAUSE_SECONDS = 0.5
STOP_SECONDS = 4.0
REMEMBERED = 200_000

_PUBLISHED, _REPEATED, _LOST = (EXPOSURES.labels(one) for one in ("published", "repeated", "lost"))

log = structlog.get_logger()


class Shown(NamedTuple):
    """What was shown to whom, as the request left it; the event is made of it later."""

    experiment: Experiment
    variant: Variant
    unit: str
    surface: str
    at: datetime
    answer: bytes


class Exposures:
    """A bounded buffer before the publisher. A part that comes after it, so that it stops first."""

    name = "exposures"

    def __init__(self, publisher: Publisher, most: int) -> None:
        """Keep at most `most` exposures while Kafka is away; then the oldest are lost."""
        self._publisher = publisher
        self._most = most
        self._waiting: deque[Shown] = deque()
        self._seen: OrderedDict[tuple[str, str, int, str, int], None] = OrderedDict()
        self._news = asyncio.Event()
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to publish what comes."""
        self._task = asyncio.create_task(self._publish_all(), name="exposures")

    async def stop(self) -> None:
        """Publish what waits, within a few seconds; count what could not be."""
        self._ending = True
        self._news.set()
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            if not done:
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=1)
        if self._waiting:
            _LOST.inc(len(self._waiting))
            log.warning("exposures.lost", count=len(self._waiting))

    def alive(self) -> str | None:
        """Whether the publishing goes on."""
        if self._task is not None and self._task.done() and not self._ending:
            return "publishing exposures ended by a defect; see the log"
        return None

    def ready(self) -> str | None:
        """Answers don't wait for exposures."""
        return None

    def note(self, shown: Shown) -> None:
        """Remember an exposure; one of the same unit, version and day is not published again."""
        experiment = shown.experiment
        key = (experiment.tenant, experiment.name, experiment.version, shown.unit, shown.at.toordinal())
        if key in self._seen:
            _REPEATED.inc()
            return
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            _LOST.inc()
        self._waiting.append(shown)
        self._news.set()

    async def _publish_all(self) -> None:
        while not (self._ending and not self._waiting):
            await self._news.wait()
            if not self._ending:
                self._news.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                WAITING.set(len(self._waiting) + len(batch))
                batch, events = _events(batch)
                if not events:
                    continue
                try:
                    await self._publisher.publish(TOPIC, events)
                except Transient as error:
                    # The outcome may be unknown; the same ids again are counted once.
                    log.warning("exposures.wait", error=str(error), count=len(batch))
                    self._waiting.extendleft(reversed(batch))
                    await asyncio.sleep(PAUSE_SECONDS)
                except Permanent as error:
                    _LOST.inc(len(batch))
                    log.error("exposures.refused", error=str(error), count=len(batch))  # noqa: TRY400
                else:
                    _PUBLISHED.inc(len(batch))
            WAITING.set(0)


def _events(batch: list[Shown]) -> tuple[list[Shown], list[VariantExposed]]:
    """What of a batch can be told, and how; the rest is lost by itself, not with its neighbours."""
    told, events = [], []
    for shown in batch:
        try:
            events.append(_event(shown))
        except Exception as error:  # noqa: BLE001 - no answer, whatever it holds, may end the publishing
            _LOST.inc()
            log.error("exposures.untellable", experiment=shown.experiment.name, error=str(error))  # noqa: TRY400
        else:
            told.append(shown)
    return told, events


def _event(shown: Shown) -> VariantExposed:
    experiment = shown.experiment
    said = _said(shown.answer)
    listed = said.get("recommendations") or said.get("itemList") or said.get("personalizedRanking") or []
    items = [one.get("product_id") or one.get("itemId") for one in listed]
    return VariantExposed(
        event_id=exposure_id(experiment, shown.unit, shown.at),
        tenant=experiment.tenant,
        occurred_at=shown.at,
        experiment=experiment.name,
        experiment_version=experiment.version,
        variant=shown.variant.name,
        unit=shown.unit,
        surface=shown.surface,
        recommendation_id=said.get("recommendationId"),
        item_ids=tuple(item for item in items if item),
    )


def exposure_id(experiment: Experiment, unit: str, at: datetime) -> str:
    """The same for a unit, a version and a UTC day."""
    day = at.astimezone(UTC).date().isoformat()
    return derived_id(experiment.tenant, experiment.name, experiment.version, unit, day)


def _said(answer: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(answer)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
