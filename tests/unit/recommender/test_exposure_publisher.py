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
from services.recommender.store.crash_safe_counters import CrashSafeCounters
from services.recommender.store.exposure_publisher import ExposurePublisher
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
        self.units: list[str] = []

    async def publish(self, _topic: Any, events: Sequence[VariantExposed]) -> None:
        self.units += [event.unit for event in events]


def exposure(unit: str, answer: object) -> tuple[Experiment, Variant, str, bytes]:
    return EXPERIMENT, VARIANTS[0], unit, orjson.dumps(answer)


async def test_an_exposure_that_makes_no_valid_event_is_lost_alone(tmp_path: Path) -> None:
    published = Published()
    exposures = ExposurePublisher(cast("Publisher", published), CrashSafeCounters(tmp_path, "exposures"), 100)
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


async def test_exposures_that_are_not_confirmed_count_as_lost_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_publisher, "STOP_SECONDS", 0.01)
    before = _lost()
    counters = CrashSafeCounters(tmp_path, "exposures")
    exposures = ExposurePublisher(cast("Publisher", Away()), counters, 100)
    await exposures.start()
    for n in range(3):
        exposures.add(*exposure(f"u{n}", {"recommendations": [{"product_id": "i1"}]}))
    await asyncio.sleep(0)
    assert (counters.cells[0], counters.cells[1]) == (3, 0)
    await exposures.stop()

    assert _lost() - before == 3
    assert CrashSafeCounters(tmp_path, "exposures").open() == 0


def _lost() -> int:
    return int(exposure_publisher._LOST._value.get())
