"""Sums of metrics over people: exact after a replay, without those who may not count."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.router.domain.metric_sums import MetricSums, People
from services.router.domain.metrics import Amount, Metric
from services.router.store.metric_sums import BOT_EVENTS, MetricStore
from services.router.worker import Monitor
from shared.aws.personalize.recommendation_ids import RecommendationIds, signing_key
from shared.postgres import Database
from tests.component.router.counting import AUTHOR, Shop, counting, stored_results

BOUGHT = Metric(name="bought", event="purchase")
REVENUE = Metric(name="revenue", event="purchase", measure="value")
ITEMS = Metric(
    name="items-per-order",
    event="purchase",
    measure="events",
    per=Amount(event="purchase", measure="orders"),
)
METRICS = (BOUGHT, REVENUE, ITEMS)


async def sums(shop: Shop, world: Any, *metrics: Metric, pre_days: int = 0) -> MetricSums:
    database = Database(world.settings().postgres, "router")
    await database.start()
    try:
        version = await shop.experiments.get(shop.tenant, "same")
        return await MetricStore(database, 60.0).sums(version, metrics or METRICS, pre_days)
    finally:
        await database.stop()


async def test_people_and_their_amounts_are_exact_after_a_replay(world: Any) -> None:
    async with counting(world) as shop:
        for number in range(6):
            await shop.expose(f"u{number}", 10, "ab"[number % 2])
        events = [
            shop.event("purchase", 5, "u0", value=100),  # before the exposure
            shop.event("purchase", 20, "u0", value=2, order_id="o1"),
            shop.event("purchase", 20, "u0", value=3, order_id="o1"),
            shop.event("purchase", 30, "u2", value=10),
            shop.event("purchase", 30, "u1", value=4, order_id="o2"),
            shop.event("view", 30, "u3"),
            shop.event("purchase", 30, "stranger", value=50),
        ]
        for _ in range(2):
            await shop.did(*events)
            await shop.did(*reversed(events))
        result = await sums(shop, world)

    assert result.people == {"a": People(3), "b": People(3)}
    assert result.events == [("a", 3, 0), ("b", 1, 0)]
    assert result.sums == {
        (0, "a"): (2, 2, 0, 0, 0),
        (0, "b"): (1, 1, 0, 0, 0),
        (1, "a"): (15, 125, 0, 0, 0),
        (1, "b"): (4, 16, 0, 0, 0),
        # u0 has two lines in an order, u2 one in one: Σx = 2, Σxy = 2 + 1.
        (2, "a"): (3, 5, 2, 2, 3),
        (2, "b"): (1, 1, 1, 1, 1),
    }


async def test_a_visitor_who_logs_in_is_one_person_and_one_with_two_variants_none(world: Any) -> None:
    async with counting(world) as shop:
        await shop.expose("web-1", 10, "a")
        await shop.expose("u1", 20, "a")
        await shop.expose("web-2", 10, "a")
        await shop.expose("u2", 20, "b")
        await shop.expose("web-3", 10, "b")
        await shop.did(
            shop.event("view", 15, "u1", "web-1"),
            shop.event("view", 15, "u2", "web-2"),
            shop.event("purchase", 30, "u1", "web-1"),
            shop.event("purchase", 30, "u2", "web-2"),
            shop.event("purchase", 30, None, "web-3"),
        )
        result = await sums(shop, world)

    assert result.people == {"a": People(1, crossed=1, merged=1), "b": People(1)}
    assert (result.sums[0, "a"][0], result.sums[0, "b"][0]) == (1, 1)


async def test_bots_late_events_and_events_without_an_answer_do_not_count(world: Any) -> None:
    ids = RecommendationIds(signing_key("secret"))
    answer, another = (ids.new(world.tenant, name, 0, 0) for name in ("user-personalization", "else"))
    clicks = Metric(name="clicks", event="click", measure="events")
    recommended = clicks.model_copy(update={"name": "recommended", "recommended_only": True})
    soon = clicks.model_copy(update={"name": "soon", "window_days": 60 / 86_400})
    late = clicks.model_copy(update={"name": "late", "from_days": 60 / 86_400})
    cut = clicks.model_copy(update={"name": "cut", "winsorize": 0.5})
    async with counting(world) as shop:
        for unit in ("u0", "u1", "u2", "crawler"):
            await shop.expose(unit, 0)
        await shop.did(
            shop.event("click", 10, "u0", recommendation_id=answer),
            shop.event("click", 20, "u0", recommendation_id=another),
            shop.event("click", 90, "u0"),
            shop.event("click", 90, "u1"),
            *(shop.event("click", 1, "crawler") for _ in range(BOT_EVENTS + 1)),
        )
        result = await sums(shop, world, clicks, recommended, soon, cut, late)

    assert result.people == {"a": People(3, bots=1)}
    assert result.events == [("a", 4, 1)]
    assert [result.sums[number, "a"][0] for number in (0, 1, 2)] == [4, 1, 2]
    # 3 and 1 clicks: the median is 2.
    assert result.sums[3, "a"][:2] == (3, 5)
    assert result.sums[4, "a"][0] == 2


async def test_impressions_count_for_metrics_that_name_them(world: Any) -> None:
    rate = Metric(name="rate", event="click", measure="events", per=Amount(event="impression"))
    async with counting(world, metrics=(rate,)) as shop:
        await shop.expose("u0", 0)
        await shop.did(
            *(shop.event("impression", 10, "u0") for _ in range(BOT_EVENTS + 1)),
            shop.event("click", 20, "u0"),
        )
        result = await sums(shop, world, rate)

    assert result.people == {"a": People(1)}
    assert result.sums[0, "a"] == (1, 1, BOT_EVENTS + 1, (BOT_EVENTS + 1) ** 2, BOT_EVENTS + 1)


async def test_the_time_before_the_exposure_is_a_covariate(world: Any) -> None:
    async with counting(world) as shop:
        for unit in ("u0", "u1"):
            await shop.expose(unit, 10)
        await shop.did(shop.event("purchase", 20, "u0", value=7))
        stored = [
            (world.tenant, "e1", "u0", 5.0, shop.at(0) - timedelta(days=1)),
            (world.tenant, "e2", "u0", 6.0, shop.at(0) - timedelta(days=15)),
            (world.tenant, "e3", "u1", 8.0, shop.at(0)),
            (world.tenant, "e4", "u1", 9.0, shop.at(20)),
        ]
        await world.sql(
            "INSERT INTO tracker.interactions (tenant, event_id, user_id, event_type, value, occurred_at, "
            "source, received_at, historical, fingerprint) "
            "VALUES ($1, $2, $3, 'purchase', $4, $5, 'events', $5, false, 0)",
            *stored,
        )
        result = await sums(shop, world, REVENUE, ITEMS, pre_days=14)

    assert result.sums[0, "a"] == (7, 49, 13, 25 + 64, 35)
    assert result.sums[1, "a"] == (1, 1, 1, 1, 1)


async def test_versions_of_a_phase_are_one_measurement_until_a_variant_is_disabled(world: Any) -> None:
    async with counting(world, traffic=0.999) as shop:
        await shop.did(shop.event("view", 5, "ann", "web-1"))
        for unit in ("u0", "web-1"):
            await shop.expose(unit, 10)
        await world.sql("UPDATE router.experiments SET stopped_at = $1, status = 'stopped'", (shop.at(100),))
        await world.sql(
            "INSERT INTO router.experiments (tenant, name, version, surface, traffic, salt, variants, phase, "
            "status, started_at, disabled_at) SELECT tenant, name, 2, surface, 1, salt, variants, phase, "
            "'running', $1, $2 FROM router.experiments",
            (shop.at(100), shop.at(300)),
        )
        await shop.handlers.running.refresh()
        await shop.expose("u1", 200, version=2)
        await shop.expose("u0", 200, version=2)
        await shop.expose("web-1", 200, version=2)
        await shop.expose("u2", 400, version=2)
        await shop.did(*(shop.event("purchase", 250, f"u{n}") for n in range(3)))
        await shop.did(shop.event("purchase", 250, "bob", "web-1"))  # ann's as well, whose session it is
        result = await sums(shop, world)

    assert list(result.versions) == [1, 2]
    assert result.people == {"a": People(3)}
    # Once each, whether or not the unit was exposed in both versions.
    assert (result.sums[0, "a"][0], result.sums[1, "a"][0]) == (3, 7.5)


async def test_the_monitor_pauses_an_experiment_once(world: Any) -> None:
    """Two hundred people of one variant and none of the other."""
    async with counting(world) as shop:
        database = Database(world.settings().postgres, "router")
        await database.start()
        try:

            async def check() -> None:
                # A new monitor each time: one waits after a check for twenty times as long as the check took.
                await Monitor(shop.experiments, stored_results(world, database)).check()

            await check()
            before = await shop.experiments.get(shop.tenant, "same")
            for number in range(200):
                await shop.expose(f"u{number}", 10)
            await check()
            paused = await shop.experiments.get(shop.tenant, "same")
            log = await shop.experiments.changes(shop.tenant, "same", 1)
            await shop.experiments.change(shop.tenant, "same", "start", AUTHOR)
            await check()
            resumed = await shop.experiments.get(shop.tenant, "same")
        finally:
            await database.stop()

    assert [each.status for each in (before, paused, resumed)] == ["running", "paused", "running"]
    assert (log[0].actor, log[0].change) == ("monitor", "pause")
    assert "do not fit the weights" in log[0].details["reason"]


async def test_results_are_served(world: Any) -> None:
    async with counting(world) as shop, world.router() as caller:
        await shop.expose("u0", 10)
        await shop.did(shop.event("purchase", 20, "u0"))
        path = "/v1/experiments/same/results"
        answer = await caller.get(path, headers=world.admin)
        refused = await caller.get(path, headers=world.admin, params={"pre_days": 1_000})
        forbidden = await caller.get(path)
        missing = await caller.get("/v1/experiments/none/results", headers=world.admin)

    body = answer.json()
    assert [each["metric"]["name"] for each in body["metrics"]][:2] == ["purchase-conversion", "revenue"]
    assert [(each["variant"], each["units"]) for each in body["units"]] == [("a", 1), ("b", 0)]
    assert body["metrics"][0]["variants"][1]["comparison"]["verdict"] == "too few units"
    assert (refused.status_code, forbidden.status_code, missing.status_code) == (400, 403, 404)


async def test_a_large_phase_is_answered_from_the_last_count_and_its_course_is_kept(world: Any) -> None:
    path = "/v1/experiments/same"
    async with counting(world) as shop, world.router() as caller:

        async def get(what: str, **params: Any) -> Any:
            answer = await caller.get(f"{path}/{what}", headers=world.admin, params=params)
            return answer.json() if answer.status_code == 200 else answer.status_code

        async def people(**params: Any) -> int:
            return sum(each["units"] for each in (await get("results", **params))["units"])

        database = Database(world.settings().postgres, "router")
        await database.start()
        try:
            await shop.expose("u0", 10)
            await shop.did(shop.event("purchase", 20, "u0"))
            await Monitor(shop.experiments, stored_results(world, database)).check()
        finally:
            await database.stop()
        await shop.expose("u1", 10)
        small = await people()
        # Counting took five seconds, yesterday.
        await world.sql("UPDATE router.counted_sums SET seconds = 5, day = day - 1")
        large, fresh, other = await people(), await people(fresh=True), await people(pre_days=7)
        body, series, unknown = await get("results"), await get("series"), await get("series", metric="none")
        undecided = await get("decision")
        decide = {"variant": "b", "reason": "Nothing is lost."}
        await caller.post(f"{path}/decide", headers=world.admin, json=decide)
        await world.sql("UPDATE router.counted_sums SET seconds = 0")
        await shop.expose("u2", 15)
        decision, after = await get("decision"), await people()

    assert (small, large, fresh, other) == (2, 1, 2, 2)
    assert body["health"]["groups"][0]["units"] == {"a": 1}
    (point,) = series["days"]
    assert series["metric"] == "purchase-conversion"
    assert [(each["variant"], each["units"], each["mean"]) for each in point["variants"]] == [
        ("a", 1, 1.0),
        ("b", 0, None),
    ]
    assert (unknown, undecided) == (400, 404)
    assert (decision["variant"], decision["reason"]) == ("b", "Nothing is lost.")
    assert sum(each["units"] for each in decision["results"]["units"]) == 1
    assert after == 3
