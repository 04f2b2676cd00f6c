"""The worker on real Kafka and Postgres: killed with open transactions, and fed its topics a second time."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import timedelta
from decimal import Decimal
from functools import partial

from asgi_lifespan import LifespanManager
from httpx import ASGITransport, AsyncClient

from services.analytics import app
from services.analytics.domain.lake_tables import BY_NAME
from services.analytics.settings import Settings
from services.analytics.store import Lake
from shared.events.topics import INTERACTIONS, SERVINGS
from shared.kafka.offsets import end_offsets
from tests.component.analytics.conftest import GROUPS, Shop, answered, commit
from tests.integration.analytics.reference import expected
from tests.support.proxy import Proxy
from tests.support.stack import ObjectStore
from tests.support.waiting import PATIENCE, eventually

KILLS = 5


async def test_killed_workers_and_a_replay_change_no_figure(shop: Shop, own_environment: None) -> None:
    topics = (INTERACTIONS, SERVINGS)
    begin = {}
    for topic in topics:
        # A partition without records has no end.
        ends = await answered(partial(end_offsets, shop.kafka, topic))
        begin[topic] = dict.fromkeys(range(topic.partitions), 0) | ends
    worker = shop.start()

    async def waits() -> bool:
        """Return whether a transaction of the worker waits for the lock that the test holds."""
        return bool(
            await shop.administrator.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
        )

    async with shop.administrator.transaction():
        lock = "SELECT pg_advisory_xact_lock(hashtext('analytics'), hashtext($1))"
        await shop.administrator.execute(lock, shop.tenant.name)
        await shop.publish()
        await eventually(waits, "the worker is in its transaction")
        await shop.kill(worker)
    second = shop.start()
    await eventually(shop.is_read, "everything is read", every=0.3)
    figures = await shop.figures()
    hours, _ = expected(shop.answers, shop.events, timedelta(days=7))
    sums = {
        name: sum(row[name] for row in hours.values())
        for name in ("answers", "clicks", "conversions", "revenue")
    }
    of_hours = [row for row in figures if row[0] == "hour" and len(row) > 4]
    assert [sum(Decimal(row[place]) for row in of_hours) for place in (3, 4, 6, 8)] == [*sums.values()]
    assert sums["conversions"] == 80  # forty, in the series of the answer and that of the item

    second.popen.terminate()
    await asyncio.to_thread(second.popen.wait, PATIENCE)
    for topic, group in itertools.product(begin, GROUPS):
        await commit(shop.kafka, topic, group, begin[topic])
    shop.start()
    await eventually(shop.is_read, "everything is read twice", every=0.3)

    assert await shop.figures() == figures
    of_tenant = ["--tenant", shop.tenant.name]
    assert await asyncio.to_thread(app.check, Settings(), of_tenant) == 0
    assert await asyncio.to_thread(app.lake, Settings(), ["check", *of_tenant]) == 0
    lake = Lake(Settings().s3)
    stored = [len(lake.ids(shop.tenant.name, BY_NAME[name])) for name in ("interactions", "servings")]
    assert stored == [len(shop.events), len(shop.answers)]
    await answers_over_http(shop)


async def test_the_lake_equals_the_log_after_kills_and_without_an_object_store(
    shop: Shop, own_environment: None, s3: ObjectStore
) -> None:
    """Each of five workers is killed in its commit, soon after the object store answers again."""
    chance = random.Random(7)

    async def writes() -> bool:
        """Return whether a worker has begun to write to the lake."""
        return bool(
            await shop.administrator.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'"
            )
        )

    async def is_free() -> bool:
        return not await writes()

    async with Proxy(s3.endpoint) as proxy:
        shop.environment["AWS_ENDPOINT_URL_S3"] = proxy.url(s3.endpoint)
        for number in range(KILLS):
            proxy.hang()
            await shop.publish(number, KILLS)
            worker = shop.start()
            await eventually(writes, "a worker writes to the lake", every=0.1)
            proxy.resume()
            await asyncio.sleep(chance.uniform(0, 0.3))
            await shop.kill(worker)
            await eventually(is_free, "Postgres knows that the worker has ended", every=0.1)
        proxy.cut_answers(2)  # the last worker doesn't know what became of its first requests
        shop.start()
        await eventually(shop.is_read, "everything is read", every=0.3)

    of_tenant = ["--tenant", shop.tenant.name]
    assert await asyncio.to_thread(app.lake, Settings(), ["check", *of_tenant]) == 0
    lake = Lake(Settings().s3)
    stored = [sorted(lake.ids(shop.tenant.name, BY_NAME[name])) for name in ("interactions", "servings")]
    assert stored == [
        sorted(event.event_id for event in shop.events),
        sorted(answer.recommendation_id for answer in shop.answers),
    ]


async def answers_over_http(shop: Shop) -> None:
    """The routes answer for the key's tenant, with the scope read."""
    serving = app.build(Settings())
    async with (
        LifespanManager(serving, startup_timeout=PATIENCE, shutdown_timeout=PATIENCE),
        AsyncClient(transport=ASGITransport(serving), base_url="http://analytics") as http,
    ):
        reader = {"x-api-key": shop.tenant.read}
        placements = "/v1/metrics/placements?by=placement,strategy&interval=day"
        page = (await http.get(placements, headers=reader)).json()
        overview = (await http.get("/v1/metrics/overview?interval=day", headers=reader)).json()
        refused = [
            (await http.get(placements, headers={"x-api-key": shop.tenant.ingest})).status_code,
            (await http.get(f"{placements}&from=2020-01-01T00:00Z", headers=reader)).status_code,
            (await http.get("/v1/metrics/placements?by=colour", headers=reader)).status_code,
            (await http.get("/v1/metrics/overview?from=yesterday", headers=reader)).status_code,
        ]
        other = await http.get("/v1/metrics/overview", headers={"x-api-key": "unknown"})

    assert (page["total"]["answers"], page["total"]["conversions"]) == (40, 40)
    assert page["total"]["conversion"]["value"] == 0.5
    assert {group["strategy"] for group in page["groups"]} == {"similar", "trending"}
    assert sum(point["clicks"] for group in page["groups"] for point in group["points"]) == 80
    total = overview["total"]
    assert (total["orders"], total["answers"], round(total["attributed_revenue"], 9)) == (40, 40, 44.0)
    assert total["attributed_share"] == 1
    assert overview["answers_by_source"] == {"redis": 40}
    assert overview["events_by_type"] == {"click": 80, "impression": 40, "purchase": 40}
    assert sum(day["answered_visitors"] for day in overview["coverage"]) == 40
    assert overview["freshness"]["newest_answer_at"] is not None
    assert refused == [403, 400, 400, 400]
    assert other.status_code == 401
