"""`/v1/dead-letters` in process, on a real Kafka and Postgres, with the worker of the tracker."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest
from asgi_lifespan import LifespanManager

from services.engine import app as engine
from services.engine.settings import Settings
from services.tracker import app as tracker
from services.tracker.settings import Settings as TrackerSettings
from shared.events.topics import INTERACTIONS
from shared.kafka import Publisher, encoded
from shared.settings import KafkaSettings
from tests.support.dead_letters import DLQ, bury
from tests.support.kafka import interaction, kafka_environment, raw_records, running, skip_to_end
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant, make_tenant
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture(scope="module")
async def shop(module_database: Database) -> Tenant:
    """A tenant whose letters no other test writes."""
    return await make_tenant(module_database, f"letters-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
async def other(module_database: Database) -> Tenant:
    return await make_tenant(module_database, f"others-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
async def http(module_database: Database, kafka_settings: KafkaSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the engine; the tracker's worker runs beside it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (module_database.environment | kafka_environment(kafka_settings)).items():
            patch.setenv(name, value)
        patch.setenv("ENDCAP_SECRET_KEY", SECRET_KEY)
        patch.setenv("ENDCAP_SERVICE_KEY", SERVICE_KEY)
        application, worker = engine.build(Settings()), tracker.worker(TrackerSettings())
    await skip_to_end(kafka_settings, INTERACTIONS, "tracker-store")
    async with (
        LifespanManager(worker, startup_timeout=PATIENCE, shutdown_timeout=PATIENCE),
        LifespanManager(application) as running,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(running.app), base_url="http://engine", timeout=PATIENCE
        ) as client,
    ):
        yield client


async def listed(http: httpx.AsyncClient, tenant: Tenant, **query: Any) -> list[dict[str, Any]]:
    answer = await http.get("/v1/dead-letters", params=query, headers={"x-api-key": tenant.admin})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["dead_letters"])


async def test_a_record_is_replayed_and_handled_once(
    http: httpx.AsyncClient,
    shop: Tenant,
    other: Tenant,
    kafka_settings: KafkaSettings,
    module_database: Database,
) -> None:
    event, last = (interaction(tenant=shop.name) for _ in range(2))
    record = encoded(event, "tracker", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    for _ in range(2):  # a consumer that ended between letter and commit writes two
        await bury(kafka_settings, record, 7)

    first, second = await listed(http, shop, topic=INTERACTIONS.name, consumer="tracker")
    path, headers = f"/v1/dead-letters/{first['id']}", {"x-api-key": shop.admin}
    shown = (await http.get(path, headers=headers)).json()
    foreign = await http.post(f"{path}/replay", headers={"x-api-key": other.admin})
    answers = await asyncio.gather(*(http.post(f"{path}/replay", headers=headers) for _ in range(3)))
    answers.append(await http.post(f"/v1/dead-letters/{second['id']}/replay", headers=headers))
    async with running(publisher := Publisher(kafka_settings, "tracker", [INTERACTIONS])):
        await publisher.publish(INTERACTIONS, [last])

    assert (first["reason"], first["event_id"], first["replayed_at"]) == ("a defect", event.event_id, None)
    assert (shown["key"], shown["value"].encode()) == (event.key, record.value)
    assert foreign.status_code == 404
    assert await listed(http, other) == []
    assert sorted(answer.json()["status"] for answer in answers) == ["replayed", *["replayed before"] * 3]
    assert len({answer.json()["replayed_at"] for answer in answers}) == 1
    assert [letter["replayed_at"] is not None for letter in await listed(http, shop)] == [True, True]
    stored = await eventually(
        lambda: ids_of(module_database, shop), "the events are stored",
        enough=lambda ids: last.event_id in ids,
    )  # fmt: skip
    assert sorted(stored) == sorted([event.event_id, last.event_id])
    identity = ("ce_id", event.event_id.encode())
    received = await raw_records(kafka_settings, INTERACTIONS.name)
    published = [each for each in received if identity in each.headers]
    assert [(each.key, each.value, tuple(each.headers)) for each in published] == [
        (record.key, record.value, record.headers)
    ]


async def ids_of(database: Database, tenant: Tenant) -> list[str]:
    """The events that the tracker stored."""
    connection = await asyncpg.connect(database.url)
    rows = await connection.fetch("SELECT event_id FROM tracker.interactions WHERE tenant = $1", tenant.name)
    await connection.close()
    return [row["event_id"] for row in rows]


async def test_a_letter_without_its_record_is_not_replayed(
    http: httpx.AsyncClient, other: Tenant, kafka_settings: KafkaSettings
) -> None:
    record = encoded(interaction(tenant=other.name), "tracker", "")
    await bury(kafka_settings, record, 8, whole=False)
    (letter,) = await listed(http, other)
    replay = f"/v1/dead-letters/{letter['id']}/replay"

    answer = await http.post(replay, headers={"x-api-key": other.admin})

    assert not letter["replayable"]
    assert (answer.status_code, answer.json()["error"]) == (409, "PartialLetter")


async def test_a_mended_record_is_published_in_place_of_its_own(
    http: httpx.AsyncClient, other: Tenant, kafka_settings: KafkaSettings, module_database: Database
) -> None:
    event = interaction(tenant=other.name)
    record = encoded(event, "tracker", "")
    await bury(kafka_settings, replace(record, value=b'{"item_id": 7'), 9)
    letter = (await listed(http, other, topic=INTERACTIONS.name))[0]
    replay = f"/v1/dead-letters/{letter['id']}/replay"
    headers = {"x-api-key": other.admin, "content-type": "application/json"}
    wrong = {"event_id": "another", "tenant": "another"}
    values = ["{", "\ud800", *(event.model_copy(update={k: v}).model_dump_json() for k, v in wrong.items())]

    # httpx can't encode half of a surrogate pair, which JSON can escape.
    bodies = [json.dumps({"value": value}) for value in values]
    refused = [await http.post(replay, content=body, headers=headers) for body in bodies]
    mended = await http.post(replay, json={"value": event.model_dump_json()}, headers=headers)

    assert [answer.status_code for answer in refused] == [400] * 4
    assert mended.json()["status"] == "replayed"
    await eventually(
        lambda: ids_of(module_database, other), "the event is stored",
        enough=lambda ids: event.event_id in ids,
    )  # fmt: skip


@pytest.mark.parametrize(
    "identifier",
    ["nonsense", f"{DLQ}.0.999999999", f"{DLQ}.99.0", "elsewhere-dlq.0.0", f"{INTERACTIONS.name}.0.0"],
)
async def test_an_id_without_a_letter_is_unknown(
    http: httpx.AsyncClient, shop: Tenant, identifier: str
) -> None:
    answer = await http.get(f"/v1/dead-letters/{identifier}", headers={"x-api-key": shop.admin})

    assert (answer.status_code, answer.json()["error"]) == (404, "UnknownDeadLetter")
