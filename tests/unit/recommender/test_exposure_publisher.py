"""An invalid exposure does not keep the others from being published."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from services.recommender.store import exposure_publisher
from services.recommender.store.exposure_journal import ExposureJournal
from services.recommender.store.exposure_publisher import ExposurePublisher
from services.recommender.store.exposures import Shown
from shared.events import VariantExposed
from shared.experiments import Experiment, Variant

if TYPE_CHECKING:
    from shared.kafka import Publisher

NOW = datetime(2026, 11, 20, tzinfo=UTC)
VARIANTS = (Variant(name="a"), Variant(name="b", strategy="item-affinity"))
EXPERIMENT = Experiment(
    tenant="shop",
    name="test",
    version=1,
    surface="similar-items",
    variants=VARIANTS,
    traffic=1.0,
    salt="salt",
    status="running",
    created_at=NOW,
)


class Published:
    """A publisher that records the units."""

    def __init__(self) -> None:
        self.events: list[VariantExposed] = []

    @property
    def units(self) -> list[str]:
        return [event.unit for event in self.events]

    async def publish(self, _topic: Any, events: Sequence[VariantExposed]) -> None:
        self.events += events


def exposure(unit: str, answer: object) -> tuple[Experiment, Variant, str, bytes]:
    return EXPERIMENT, VARIANTS[0], unit, orjson.dumps(answer)


async def test_an_exposure_that_makes_no_valid_event_is_lost_alone(tmp_path: Path) -> None:
    published = Published()
    exposures = ExposurePublisher(cast("Publisher", published), ExposureJournal(tmp_path), 100)
    fine = {"recommendations": [{"product_id": "i1"}]}
    await exposures.start()

    for bad in (
        exposure("u" * 257, fine),
        exposure("a\0b", fine),
        exposure("odd", {"recommendations": ["i1"]}),
    ):
        exposures.add(*bad)
    # A batch of nothing else, and then one that has others around it.
    await asyncio.sleep(0.01)
    for each in (exposure("u1", fine), exposure("\0", fine), exposure("u2", fine)):
        exposures.add(*each)
    await asyncio.sleep(0.01)

    assert exposures.alive() is None
    await exposures.stop()
    assert published.units == ["u1", "u2"]


class Away:
    """A publisher that never confirms."""

    async def publish(self, _topic: Any, _events: Sequence[VariantExposed]) -> None:
        await asyncio.Event().wait()


async def test_exposures_that_are_not_confirmed_are_left_to_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_publisher, "STOP_SECONDS", 0.01)
    before = _lost()
    stopped = ExposurePublisher(cast("Publisher", Away()), ExposureJournal(tmp_path), 100)
    await stopped.start()
    answers = (orjson.dumps({"recommendations": [{"product_id": "i1"}]}), Shown("id", ("i2",)))
    for n, answer in enumerate(answers):
        stopped.add(EXPERIMENT, VARIANTS[1], f"u{n}", answer)
    await asyncio.sleep(0)
    await stopped.stop()
    published = Published()
    following = ExposurePublisher(cast("Publisher", published), ExposureJournal(tmp_path), 100)
    await following.start()
    following.add(*exposure("u2", {"recommendations": []}))
    await asyncio.sleep(0.01)
    await following.stop()

    assert published.units == ["u0", "u1", "u2"]
    assert [event.item_ids for event in published.events] == [("i1",), ("i2",), ()]
    assert published.events[1].recommendation_id == "id"
    assert {event.variant for event in published.events[:2]} == {"b"}
    assert _lost() == before
    assert ExposureJournal(tmp_path).take_over() == []


async def test_without_a_folder_exposures_are_lost_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure_publisher, "STOP_SECONDS", 0.01)
    before = _lost()
    journal = ExposureJournal(Path("/dev/null/state"))
    stopped = ExposurePublisher(cast("Publisher", Away()), journal, 2)
    await stopped.start()
    for n in range(3):
        stopped.add(*exposure(f"u{n}", {"recommendations": []}))
    await asyncio.sleep(0)
    await stopped.stop()

    # One was dropped for want of room.
    assert _lost() - before == 3


def _lost() -> int:
    return int(exposure_publisher._LOST._value.get())
