"""The facts of first answers: of the earliest exposure that has them, in whatever order exposures arrive."""

from __future__ import annotations

from typing import Any

from services.router.domain.metric_sums import AnswerCounts, GroupCount
from services.router.store.metric_sums import MetricStore
from shared.postgres import Database
from tests.component.router.counting import counting


async def test_the_first_answer_of_a_unit_says_how_its_variant_answers(world: Any) -> None:
    def facts(milliseconds: float, device: str | None, *, fallback: bool = False) -> dict[str, Any]:
        return {"milliseconds": milliseconds, "fallback": fallback, "device": device}

    async with counting(world) as shop:
        await shop.expose("u0", 30, "a", **facts(90, "desktop", fallback=True))
        await shop.expose("u0", 10, "a", **facts(4, "mobile"))
        await shop.expose("u0", 5, "a", differs=True)  # a mark has no facts
        await shop.expose("u1", 10, "b", **facts(7, "tablet"))
        await shop.expose("u1", 20, "b", **facts(70, "mobile"))
        await shop.expose("u2", 10, "a", **facts(8, None, fallback=True))
        await shop.expose("u3", 10, "a")  # of an earlier release
        database = Database(world.settings().postgres, "router")
        await database.start()
        try:
            version = await shop.experiments.get(shop.tenant, "same")
            sums = await MetricStore(database, 60.0).sums(version, version.measured, 0)
        finally:
            await database.stop()

    assert sums.answers == [AnswerCounts("a", 2, 1, 6, 7.8), AnswerCounts("b", 1, 0, 7, 7)]
    assert [group for group in sums.groups if group.kind == "device"] == [
        GroupCount("device", "mobile", "a", 1),
        GroupCount("device", "tablet", "b", 1),
    ]
    assert [group.units for group in sums.groups if group.kind == "day"] == [3, 1]
