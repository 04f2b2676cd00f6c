"""Windows of a switchback in Postgres: exact after a replay, without the beginning of a window."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from services.router.domain.metrics import Amount, Metric
from services.router.store.windows import WindowStore
from shared.events import InteractionRecorded, VariantExposed
from shared.experiments import Switchback
from shared.postgres import Database
from tests.component.router.counting import counting

METRICS = (
    Metric(name="bought", event="purchase"),
    Metric(name="per-order", event="purchase", measure="value", per=Amount(event="purchase")),
)
LENGTH = timedelta(minutes=5)


async def test_windows_have_the_people_and_what_they_did_in_them(world: Any) -> None:
    now = datetime.now(UTC)
    current = int(now.timestamp() // LENGTH.total_seconds())
    first = current - 2
    begin = datetime.fromtimestamp(first * LENGTH.total_seconds(), UTC)

    def exposure(unit: str, minutes: float, variant: str = "a") -> VariantExposed:
        at = begin + timedelta(minutes=minutes)
        window = first + int(minutes // 5)
        return VariantExposed(
            event_id=uuid.uuid4().hex,
            tenant=world.tenant,
            occurred_at=at,
            experiment="same",
            experiment_version=1,
            variant=variant,
            unit=unit,
            surface="recommendations",
            window=window,
        )

    def purchase(user: str, minutes: float, value: float = 2.0) -> InteractionRecorded:
        at = begin + timedelta(minutes=minutes)
        return InteractionRecorded(
            event_id=uuid.uuid4().hex,
            tenant=world.tenant,
            occurred_at=at,
            received_at=at,
            user_id=user,
            event_type="purchase",
            item_id="i1",
            value=value,
        )

    async with counting(world, design=Switchback(window_minutes=5, burn_in_minutes=1)) as shop:
        await world.sql("UPDATE router.experiments SET started_at = now() - interval '1 hour'")
        exposures = [
            *(exposure(f"u{number}", 0.5) for number in range(4)),
            exposure("u0", 3),
            *(exposure(f"u{number}", 5.5, "b") for number in range(2)),
            exposure("u9", 5.1, "a"),  # answered before the end of the window before
        ]
        events = [
            purchase("u0", 0.8),  # in the beginning
            purchase("u0", 2),
            purchase("u0", 2.5, 4),
            purchase("u1", 0.2),
            purchase("u2", 4),
            purchase("u0", 6.5),
            purchase("u3", 7),  # was not exposed in this window
        ]
        for _ in range(2):
            await shop.handlers.variants_exposed(exposures)
            await shop.did(*events)
        database = Database(world.settings().postgres, "router")
        await database.start()
        try:
            version = await shop.experiments.get(shop.tenant, "same")
            sums = await WindowStore(database, world.settings()).sums(version, METRICS)
        finally:
            await database.stop()

    assert sums.people == {first: ("a", 4), first + 1: ("b", 3)}
    assert sums.amounts == {
        (0, "y", first): 2,
        (1, "y", first): 8,
        (1, "x", first): 3,
        (0, "y", first + 1): 1,
        (1, "y", first + 1): 2,
        (1, "x", first + 1): 1,
    }
