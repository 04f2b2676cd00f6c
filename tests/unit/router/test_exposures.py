"""Publishing exposures: whatever one of them holds, the others are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import orjson

from services.router.domain.experiments import Experiment, Variant
from services.router.store.exposures import Exposures, Shown
from shared.events import VariantExposed

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
    """A publisher that remembers."""

    def __init__(self) -> None:
        self.units: list[str] = []

    async def publish(self, _topic: Any, events: Sequence[VariantExposed]) -> None:
        self.units += [event.unit for event in events]


def shown(unit: str, answer: object) -> Shown:
    return Shown(EXPERIMENT, VARIANTS[0], unit, "similar-items", NOW, orjson.dumps(answer))


async def test_what_can_not_be_told_is_lost_alone() -> None:
    published = Published()
    exposures = Exposures(cast("Publisher", published), 100)
    fine = {"recommendations": [{"product_id": "i1"}]}
    await exposures.start()

    for bad in (shown("u" * 257, fine), shown("a\0b", fine), shown("odd", {"recommendations": ["i1"]})):
        exposures.note(bad)
    # A batch of nothing else, and then one that has others around it.
    await asyncio.sleep(0.01)
    for one in (shown("u1", fine), shown("\0", fine), shown("u2", fine)):
        exposures.note(one)
    await asyncio.sleep(0.01)

    assert exposures.alive() is None
    await exposures.stop()
    assert published.units == ["u1", "u2"]
