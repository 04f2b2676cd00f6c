"""People whose answers differ: counted from the first such answer on, and stored with the other sums."""

from __future__ import annotations

from typing import Any

from services.router.domain.metric_sums import People
from services.router.store.metric_sums import MetricStore
from shared.postgres import Database
from tests.component.router.counting import counting, stored_results
from tests.component.router.test_results import BOUGHT, REVENUE


async def test_triggered_results_begin_with_the_first_answer_that_differs(world: Any) -> None:
    """u4 and u5 would get the same by both variants; u3 was exposed to both."""
    async with counting(world, trigger_share=1.0) as shop:
        for number in range(6):
            await shop.expose(f"u{number}", 10, "ab"[number % 2])
        for unit, at, variant in (("u0", 60, "a"), ("u0", 30, "a"), ("u1", 40, "b"), ("web", 90, "a")):
            for _ in range(2):
                await shop.expose(unit, at, variant, differs=True)
        await shop.expose("u3", 50, "b", differs=True)
        await shop.expose("u3", 70, "a")
        await shop.did(
            shop.event("view", 100, "u2", "web"),
            shop.event("purchase", 20, "u0", value=7),  # before the answer that differs
            shop.event("purchase", 35, "u0", value=2),
            shop.event("purchase", 80, "u1", value=3),
            shop.event("purchase", 95, "u2", value=4),
            shop.event("purchase", 95, "u5", value=9),
        )
        database = Database(world.settings().postgres, "router")
        await database.start()
        try:
            version = await shop.experiments.get(shop.tenant, "same")
            everybody, triggered = [
                await MetricStore(database, 60.0).sums(version, (BOUGHT, REVENUE), 0, triggered=each)
                for each in (False, True)
            ]
            results = stored_results(world, database)
            counted = await results.count(version)
            stored = await results._newest(version, 14)
        finally:
            await database.stop()

    assert everybody.people == {"a": People(3, merged=1), "b": People(2, crossed=1)}
    assert triggered.people == {"a": People(2, merged=1), "b": People(1, crossed=1)}
    assert triggered.sums == {
        (0, "a"): (2, 2, 0, 0, 0),
        (0, "b"): (1, 1, 0, 0, 0),
        (1, "a"): (6, 20, 0, 0, 0),
        (1, "b"): (3, 9, 0, 0, 0),
    }
    assert counted is not None
    assert counted.triggered is not None
    assert [each.units for each in counted.triggered.units] == [2, 1]
    assert stored is not None
    assert stored.triggered is not None
    assert stored.triggered.people == triggered.people
