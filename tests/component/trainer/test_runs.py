"""A run through the real engine, and through the hands that kill its worker."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter

import asyncpg
import orjson
from redis.asyncio import Redis

from shared.errors import Transient
from shared.events import TrainingRequested
from shared.events.topics import TRAINING_REQUESTS
from shared.kafka import Publisher
from shared.settings import KafkaSettings
from tests.component.trainer.conftest import ITEMS, NOON, USERS, Installation
from tests.component.trainer.overlays import renewed_and_extended
from tests.component.trainer.runs import LASTING, PER_RUN, another_worker, details, ended, made
from tests.support.kafka import raw_records
from tests.support.waiting import PATIENCE, eventually

# The tests of this file share one installation and come in this order: an empty shop first.


async def test_a_shop_without_interactions_gets_a_sentence(
    installation: Installation, administrator: asyncpg.Connection
) -> None:
    run = await ended(installation, installation.ask())

    assert run["status"] == "failed"
    assert "has no interactions yet" in run["error"]
    assert [step["name"] for step in run["steps"] if step["status"] == "failed"] == ["snapshot"]

    async def listed() -> bool:
        reason = await administrator.fetchval("SELECT reason FROM loader.generations WHERE status = 'failed'")
        return reason is not None and "the run failed at snapshot" in reason

    await eventually(listed)


async def test_a_request_from_kafka_is_a_run_unless_nobody_knows_the_tenant(
    installation: Installation,
    administrator: asyncpg.Connection,
    kafka_settings: KafkaSettings,
    second_account: str,
) -> None:
    publisher = Publisher(kafka_settings, "sync", [TRAINING_REQUESTS])
    await publisher.start()
    tenant, unknown = second_account, f"shop-{uuid.uuid4().hex[:8]}"
    stranger, request = (
        TrainingRequested(
            event_id=str(uuid.uuid4()), tenant=whose, occurred_at=NOON, reason="someone's import"
        )
        for whose in (unknown, tenant)
    )

    async def published() -> bool:
        try:
            await publisher.publish(TRAINING_REQUESTS, [stranger, request, request], within=PATIENCE)
        except Transient:
            return False
        return True

    await eventually(published)

    async def asked() -> bool:
        found = await administrator.fetchval(
            "SELECT count(*) FROM trainer.requests WHERE event_id = $1", request.event_id
        )
        return found == 1

    await eventually(asked)
    await publisher.stop()
    runs = await administrator.fetch("SELECT reasons FROM trainer.runs WHERE tenant = $1", tenant)
    assert [row["reasons"] for row in runs] == [["someone's import"]]

    topic = f"{TRAINING_REQUESTS.name}-trainer-dlq"

    async def letters() -> list[str]:
        """The reasons of the dead letters about the stranger."""
        records = await raw_records(kafka_settings, topic)
        return [
            dict(record.headers)["dlq-reason"].decode()
            for record in records
            if record.value and unknown.encode() in record.value
        ]

    reasons = await eventually(letters)
    assert f"There is no tenant {unknown}" in reasons[0]
    assert await administrator.fetchval("SELECT count(*) FROM trainer.runs WHERE tenant = $1", unknown) == 0
    named = "SELECT count(*) FROM engine.resources WHERE name = $1"
    assert await administrator.fetchval(named, unknown) == 0
    refused = await asyncio.to_thread(installation.post_run, unknown)
    assert (refused.status_code, refused.json()["error"]) == (404, "UnknownTenant")


async def test_a_run_ends_in_lists_that_are_served(
    installation: Installation, shop: None, administrator: asyncpg.Connection
) -> None:
    before = await made(administrator)
    # As intake took them once: no later step may fail at them.
    await administrator.execute(
        "UPDATE tracker.interactions SET value = CASE WHEN event_id = (SELECT min(event_id) FROM "
        "tracker.interactions) THEN 1e39 ELSE 1e-50 END WHERE item_id IS NOT NULL"
    )
    number = installation.ask(reason="the first one")
    run = await ended(installation, number)

    assert (run["status"], run["error"], run["reasons"]) == ("completed", None, ["the first one"])
    assert details(run)["snapshot"]["left_out"] == [
        "1 interactions have a value beyond 1e+12; they count without it"
    ]
    statuses = {step["name"]: step["status"] for step in run["steps"]}
    assert statuses == dict.fromkeys(statuses, "done") | {"wait": "skipped"}
    assert all(step["progress"] == 1 and step["seconds"] >= 0 for step in run["steps"])
    assert details(run)["train"]["models"]["user-personalization"]["metrics"]["precision_at_5"] > 0
    assert await made(administrator) - before == LASTING + PER_RUN

    manifest = installation.s3.get_object(
        Bucket=installation.environment["ENDCAP_DATA_BUCKET"], Key=f"default/runs/{number}/_manifest.json"
    )
    recipes = orjson.loads(manifest["Body"].read())["recipes"]
    rows = {name: sum(file["rows"] for file in recipe["files"]) for name, recipe in recipes.items()}
    assert 0 < rows.pop("bought-together") <= ITEMS
    assert rows == {
        "user-personalization": USERS,
        "similar-items": ITEMS,
        "item-affinity": USERS,
        "popularity": 5,  # all, two countries, two categories
    }

    redis = Redis.from_url(installation.environment["REDIS_URL"])

    async def served() -> bool:
        return await redis.get("endcap:gen:default") is not None

    await eventually(served)
    pointer = orjson.loads(await redis.get("endcap:gen:default"))
    assert pointer["generations"] == dict.fromkeys(recipes, number)
    lists = orjson.loads(await redis.get(f"endcap:rec:default:{number}:user-personalization:user-1"))
    tastes = [int(item.removeprefix("item-")) % 2 for item, _ in lists]
    assert sum(tastes) > len(tastes) / 2
    await redis.aclose()


async def test_a_worker_killed_in_every_step_makes_nothing_twice(
    installation: Installation, shop: None, administrator: asyncpg.Connection
) -> None:
    before = await made(administrator)
    earlier = {run["run"] for run in await administrator.fetch("SELECT run FROM trainer.runs")}

    # The snapshot stops before its third file, for which it needs what we have locked.
    async with administrator.transaction():
        await administrator.execute("LOCK TABLE sync.users IN ACCESS EXCLUSIVE MODE")
        number = await asyncio.to_thread(installation.ask)

        async def first_file() -> bool:
            return bool(await asyncio.to_thread(installation.objects, f"default/runs/{number}/snapshot/"))

        await eventually(first_file)
        installation.kill("trainer-worker")
    await another_worker(installation, administrator)
    for step in ("import", "train", "batch"):

        async def running(step: str = step) -> bool:
            found = await administrator.fetchval(
                "SELECT status FROM trainer.steps WHERE name = $1 AND run = $2", step, number
            )
            assert found in {"pending", "running"}, f"{step} was over before its worker could be killed"
            return found == "running"

        await eventually(running, every=0.005)
        installation.kill("trainer-worker")
        await another_worker(installation, administrator)
    run = await ended(installation, number)

    assert number not in earlier
    assert (run["status"], run["error"]) == ("completed", None)
    assert await made(administrator) - before == PER_RUN
    attempts = await administrator.fetchval("SELECT attempts FROM trainer.jobs WHERE key = $1", str(number))
    assert attempts == 5


async def test_the_next_run_serves_live_what_it_trained_and_removes_old_files(
    installation: Installation, shop: None, administrator: asyncpg.Connection
) -> None:
    number = installation.ask()
    run = await ended(installation, number)

    assert (run["status"], run["error"]) == ("completed", None)
    serving = await administrator.fetchval("SELECT solution_version_arn FROM engine.campaigns_v1")
    assert serving == details(run)["train"]["models"]["user-personalization"]["version"]

    async def alone() -> bool:
        keys = await asyncio.to_thread(installation.objects, "default/runs/")
        return {key.split("/")[2] for key in keys} == {str(number)}

    await eventually(alone)


async def test_lists_are_renewed_and_added_between_trainings(
    installation: Installation, shop: None, administrator: asyncpg.Connection
) -> None:
    await renewed_and_extended(installation, administrator)


async def test_a_shop_where_nobody_logs_in_gets_popularity(
    installation: Installation, administrator: asyncpg.Connection, second_account: str
) -> None:
    await administrator.executemany(
        "INSERT INTO tracker.interactions (tenant, event_id, session_id, event_type, item_id, source, "
        "occurred_at, received_at, historical, fingerprint) "
        "VALUES ($1, $2, $3, 'view', 'item-1', 'events', $4, $4, false, 0)",
        [(second_account, f"visit-{number}", f"session-{number}", NOON) for number in range(3)],
    )
    before = await made(administrator)
    run = await ended(installation, installation.ask(second_account), second_account)

    assert (run["status"], run["error"]) == ("completed", None)
    skipped = {step["name"] for step in run["steps"] if step["status"] == "skipped"}
    assert skipped == {"wait", "import", "train", "campaign", "batch"}
    assert details(run)["manifest"]["recipes"] == ["popularity"]
    assert await made(administrator) == before

    async def served() -> bool:
        query = "SELECT status FROM loader.generations WHERE tenant = $1 AND generation = $2"
        return await administrator.fetchval(query, second_account, run["run"]) == "loaded"

    await eventually(served)
    await administrator.execute("DELETE FROM tracker.interactions WHERE tenant = $1", second_account)


async def test_a_group_of_another_account_is_trained_as_well(
    installation: Installation, shop: None, administrator: asyncpg.Connection, second_account: str
) -> None:
    for table in ("sync.items", "sync.users", "tracker.interactions"):
        schema, name = table.split(".")
        columns = await administrator.fetchval(
            "SELECT string_agg(column_name, ', ') FROM information_schema.columns "
            "WHERE table_schema = $1 AND table_name = $2 AND is_generated = 'NEVER' "
            "AND is_identity = 'NO' AND column_name <> 'tenant'",
            schema,
            name,
        )
        await administrator.execute(
            f"INSERT INTO {table} (tenant, {columns}) "
            f"SELECT $1, {columns} FROM {table} WHERE tenant = 'default'",
            second_account,
        )
    of_account = "SELECT type, count(*) FROM engine.resources WHERE account = $1 GROUP BY type"

    async def owned(account: str) -> Counter[str]:
        return Counter({row["type"]: row["count"] for row in await administrator.fetch(of_account, account)})

    firsts = await owned("000000000000")
    run = await ended(installation, installation.ask(second_account), second_account)

    assert (run["status"], run["error"]) == ("completed", None)
    assert await owned("000000000000") == firsts
    assert LASTING + PER_RUN + Counter({"dataset-group": 1}) == await owned("000000000001")
    assert f"{second_account}/runs/{run['run']}/_manifest.json" in installation.objects(
        f"{second_account}/runs/"
    )

    async def served() -> bool:
        query = "SELECT status FROM loader.generations WHERE tenant = $1 AND generation = $2"
        return await administrator.fetchval(query, second_account, run["run"]) == "loaded"

    await eventually(served)


async def test_amazons_endpoint_gets_no_recipe_of_ours_and_no_campaign(
    installation: Installation, shop: None, administrator: asyncpg.Connection
) -> None:
    """The endpoint of all AWS services leads to the engine here: the calls are those that Amazon gets."""
    installation.kill("trainer-worker")
    installation.start(
        "trainer",
        "worker",
        TRAINER_AMAZON="true",
        TRAINER_AMAZON_POLL_SECONDS="0.2",
        AWS_ENDPOINT_URL_PERSONALIZE="",
        AWS_ENDPOINT_URL=installation.running["engine-serve"].url,
    )
    before = await made(administrator)
    run = await ended(installation, await asyncio.to_thread(installation.ask))

    assert (run["status"], run["error"]) == ("completed", None)
    assert details(run)["manifest"]["recipes"] == [
        "bought-together",
        "popularity",
        "similar-items",
        "user-personalization",
    ]
    assert {step["name"] for step in run["steps"] if step["status"] == "skipped"} == {"wait", "campaign"}
    assert await made(administrator) - before == Counter(
        {"dataset-import-job": 3, "solution-version": 2, "batch-inference-job": 2}
    )
