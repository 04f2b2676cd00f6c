"""Shadow answers in Postgres: compared with the shown ones, each once."""

from __future__ import annotations

from typing import Any

from services.router.store.old_answers import OldAnswers
from services.router.store.shadows import ShadowStore
from shared.events.servings import RecommendationServed, Serving
from shared.events.servings import Shadow as ShadowMark
from shared.postgres import Database
from tests.component.router.counting import Shop, counting

OLD = -90 * 86_400
"""Seconds from the start of the experiment to an answer that is deleted."""


def shadow(shop: Shop, number: int, *item_ids: str) -> Serving:
    return Serving(
        recommendation_id=f"r{number}",
        served_at=shop.at(number),
        surface="placement",
        item_ids=item_ids,
        experiment="same",
        experiment_version=1,
        variant="b",
        shadow=ShadowMark(
            of=f"s{number}", overlap=number / 4, milliseconds=number, shown_milliseconds=10, size=2
        ),
    )


async def test_shadows_are_compared_with_what_was_shown(world: Any) -> None:
    async with counting(world) as shop:
        event = RecommendationServed(
            event_id="e",
            tenant=shop.tenant,
            occurred_at=shop.began,
            process="p",
            sequence=1,
            servings=(
                *(shadow(shop, 1, "i1", "i2"), shadow(shop, 2, "i1"), shadow(shop, 3)),
                shadow(shop, OLD, "i9"),
            ),
        )
        for _ in range(2):
            await shop.handlers.recommendations_served([event])
        database = Database(world.settings().postgres, "router")
        await database.start()
        try:
            await OldAnswers(database, 90).delete()
            version = await shop.experiments.get(shop.tenant, "same")
            (result,) = await ShadowStore(database, world.settings()).results(version)
        finally:
            await database.stop()
        units = await world.sql("SELECT FROM router.exposed_units")

    assert (result.variant, result.answers, result.overlap, result.filled) == ("b", 3, 0.5, 0.5)
    assert (result.distinct_items, result.milliseconds, result.shown_milliseconds) == (2, 2, 10)
    assert units == []
