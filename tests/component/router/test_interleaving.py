"""Credits of interleaved answers in Postgres: exact after a replay, in any order, and after an erasure."""

from __future__ import annotations

from typing import Any

from services.router.domain.metric_sums import InterleavedSums
from services.router.domain.metrics import Metric
from services.router.store.interleaved_answers import InterleavedAnswers
from services.router.store.old_answers import OldAnswers
from shared.events import UserErasureRequested
from shared.events.servings import RecommendationServed, Serving
from shared.events.topics import SERVINGS
from shared.experiments import Interleaving
from shared.postgres import Database
from tests.component.router.counting import Shop, counting
from tests.support.waiting import eventually

METRICS = (
    Metric(name="clicks", event="click"),
    Metric(name="revenue", event="purchase", measure="value"),
)


def answer(shop: Shop, id_: str, at: float, user: str | None, session: str | None = None) -> Serving:
    """Return an answer with the items i1 and i3 of a, i2 and i4 of b."""
    return Serving(
        recommendation_id=id_,
        served_at=shop.at(at),
        surface="rest",
        user_id=user,
        session_id=session,
        item_ids=("i1", "i2", "i3", "i4"),
        experiment="same",
        experiment_version=1,
        variant="interleaved",
        picked_by=("a", "b", "a", "b"),
    )


async def serve(shop: Shop, *answers: Serving) -> None:
    event = RecommendationServed(
        event_id="e", tenant=shop.tenant, occurred_at=shop.began, process="p", sequence=1, servings=answers
    )
    await shop.handlers.recommendations_served([event])


async def sums(shop: Shop, world: Any) -> InterleavedSums:
    database = Database(world.settings().postgres, "router")
    await database.start()
    try:
        await OldAnswers(database, 90).delete()
        version = await shop.experiments.get(shop.tenant, "same")
        return await InterleavedAnswers(database, world.settings()).sums(version, METRICS)
    finally:
        await database.stop()


def credits_of(result: InterleavedSums) -> list[list[tuple[dict[str, float], int]]]:
    return [
        sorted(((dict(each), count) for each, count in result.credited.get(number, ())), key=str)
        for number in range(2)
    ]


async def test_events_are_credited_to_the_variant_that_picked_the_item(world: Any) -> None:
    async with counting(world, design=Interleaving()) as shop:
        changed = answer(shop, "r2", 100, "u1").model_copy(update={"picked_by": ("b", "a", "b", "a")})
        usual = answer(shop, "r9", 10, "u9").model_copy(update={"picked_by": (), "variant": "a"})
        events = [
            shop.event("click", 5, "u1", item_id="i1"),  # before the answer
            shop.event("click", 20, "u1", item_id="i1"),  # of a
            shop.event("click", 110, "u1", item_id="i1", recommendation_id="r1"),  # of a, by its id
            shop.event("click", 110, "u1", item_id="i2"),  # of a, in the newer answer
            shop.event("purchase", 120, "u1", item_id="i3", value=7),  # of b
            shop.event("click", 30, "u2", item_id="i4"),  # of b
            shop.event("click", 30, "u2", item_id="i4"),  # the same item counts once
            shop.event("click", 30, "u2", item_id="i7"),  # not in the answer
            shop.event("click", 40, "u3", "web-1", item_id="i2"),  # answered before the login
            shop.event("click", 30, "u9", item_id="i1"),  # no interleaved answer
        ]
        for _ in range(2):
            await shop.did(*events)
            await serve(shop, answer(shop, "r1", 10, "u1"), changed, answer(shop, "r3", 10, "u2"), usual)
            await serve(shop, answer(shop, "r4", 10, None, "web-1"), answer(shop, "r5", 10, "u4"))
            await serve(shop, answer(shop, "r6", -90 * 86_400, "u5"))  # too old
        before = await sums(shop, world)
        await shop.handlers.erasures.erase(
            UserErasureRequested(
                event_id="x",
                tenant=shop.tenant,
                occurred_at=shop.at(500),
                erasure_id="x",
                user_id="u1",
                session_ids=(),
            )
        )
        after = await sums(shop, world)
        names = await world.sql("SELECT unit FROM router.interleaved_answers WHERE unit = 'u1'")

    assert before.people == after.people == 4
    assert credits_of(before) == [[({"a": 2}, 1), ({"b": 1}, 2)], [({"b": 7}, 1)]]
    assert credits_of(after) == credits_of(before)
    assert names == []


async def test_the_worker_reads_interleaved_answers_from_kafka(world: Any) -> None:
    async with counting(world, design=Interleaving()) as shop, world.worker():
        for number in range(3):
            usual = answer(shop, f"r{number}", 10, f"u{number}")
            if number == 2:
                usual = usual.model_copy(update={"picked_by": ()})
            event = RecommendationServed(
                event_id=f"e{number}",
                tenant=shop.tenant,
                occurred_at=shop.began,
                process="p",
                sequence=number + 1,
                servings=(usual,),
            )
            await world.publish(SERVINGS, event)

        async def recorded() -> set[str]:
            rows = await world.sql("SELECT unit FROM router.interleaved_answers")
            return {row["unit"] for row in rows}

        await eventually(recorded, enough=lambda units: units == {"u0", "u1"})
