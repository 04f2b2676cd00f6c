"""The engine is killed while it replays a dead letter: the record is published again, and handled once."""

from __future__ import annotations

import signal
import sys
import textwrap

import asyncpg
import httpx
import pytest

from shared.events.topics import INTERACTIONS
from shared.kafka import encoded
from shared.settings import KafkaSettings
from tests.component.engine.test_dead_letters import http, ids_of, listed, other, shop
from tests.support.dead_letters import bury
from tests.support.kafka import interaction, kafka_environment, raw_records
from tests.support.processes import start
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant
from tests.support.waiting import PATIENCE, eventually

__all__ = ["http", "other", "shop"]

PROGRAM = """
    import asyncio, os, signal, sys
    import httpx
    from asgi_lifespan import LifespanManager
    from services.engine import app
    from services.engine.settings import Settings
    from shared.kafka import Producer

    moment, path, key = sys.argv[1:]
    deliver = Producer.deliver

    async def killing(*arguments):
        if moment == "after":
            await deliver(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        Producer.deliver = killing
        async with LifespanManager(app.build(Settings())) as running:
            transport = httpx.ASGITransport(running.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
                await client.post(path, headers={"x-api-key": key})

    asyncio.run(main())
"""


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_killed_replay_is_repeated_and_handled_once(
    moment: str,
    http: httpx.AsyncClient,
    shop: Tenant,
    kafka_settings: KafkaSettings,
    module_database: Database,
) -> None:
    event = interaction(tenant=shop.name)
    await bury(kafka_settings, encoded(event, "tracker", ""), {"before": 100, "after": 101}[moment])
    [letter] = [each for each in await listed(http, shop) if each["event_id"] == event.event_id]
    path, environment = f"/v1/dead-letters/{letter['id']}/replay", kafka_environment(kafka_settings)
    environment |= {"ENDCAP_SECRET_KEY": SECRET_KEY, "ENDCAP_SERVICE_KEY": SERVICE_KEY}

    killed = start(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), moment, path, shop.admin],
        {**module_database.environment, **environment},
    )
    assert killed.wait(PATIENCE) == -signal.SIGKILL
    [unfinished] = [each for each in await listed(http, shop) if each["event_id"] == event.event_id]
    again = await http.post(path, headers={"x-api-key": shop.admin})

    assert unfinished["replayed_at"] is None
    assert again.json()["status"] == "replayed"
    await eventually(
        lambda: ids_of(module_database, shop), "the event is stored",
        enough=lambda ids: event.event_id in ids,
    )  # fmt: skip
    connection = await asyncpg.connect(module_database.url)
    stored = await connection.fetchval(
        "SELECT count(*) FROM tracker.interactions WHERE event_id = $1", event.event_id
    )
    await connection.close()
    received = await raw_records(kafka_settings, INTERACTIONS.name)
    published = [each for each in received if ("ce_id", event.event_id.encode()) in each.headers]
    assert (stored, len(published)) == (1, {"before": 1, "after": 2}[moment])
