"""A router that is killed within a change leaves it undone, and after a 2xx nothing is lost.

A lock on a table holds the changes where the next statement would write: the row, the log, or the outbox.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from shared.auth import hash_key
from shared.events.topics import EXPERIMENTS
from tests.component.router.conftest import ACCOUNT, SERVICE_KEY
from tests.component.router.experiments import AB
from tests.support.kafka import kafka_environment, raw_records
from tests.support.processes import Process, process
from tests.support.waiting import PATIENCE, eventually

WEIGHTS = [variant | {"weight": weight} for variant, weight in zip(AB["variants"], (20, 80), strict=True)]
CHANGES: dict[str, tuple[str, Any]] = {
    "start": ("start", None),
    "weights": ("start", None),  # of the second version
    "pause": ("pause", None),
    "decide": ("decide", {"variant": "treatment", "reason": "It sold more."}),
    "kill-switch": ("variants/treatment/disable", None),
}
"""Change → its request. Each has the experiment of a tenant of its own, so that none waits for another."""
PATH = "/v1/experiments/affinity"


class Router:
    """A serving process, and the keys of a tenant for each change."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        self._url = url
        self._keys = keys

    async def call(self, change: str, path: str, body: Any = None) -> httpx.Response:
        """Call as the tenant of a change."""
        headers = {"x-api-key": self._keys[change]}
        async with httpx.AsyncClient(base_url=self._url, timeout=PATIENCE, headers=headers) as caller:
            return await caller.post(path, json=body)

    async def prepare(self, change: str) -> None:
        """Bring the experiment of a tenant to the state before the change."""
        assert (await self.call(change, "/v1/experiments", AB)).status_code == 201
        if change != "start":
            assert (await self.call(change, f"{PATH}/start")).status_code == 200
        if change == "weights":
            defined = await self.call(change, "/v1/experiments", AB | {"variants": WEIGHTS})
            assert defined.json()["phase"] == 2

    async def make_all(self) -> dict[str, httpx.Response]:
        """Make all changes at the same time."""
        answers = await asyncio.gather(
            *(self.call(change, f"{PATH}/{path}", body) for change, (path, body) in CHANGES.items())
        )
        return dict(zip(CHANGES, answers, strict=True))


@pytest.fixture
async def keys(world: Any) -> dict[str, str]:
    """Return an administrator's key for the tenant of each change."""
    made = {change: f"ek_admin_{uuid.uuid4().hex}" for change in CHANGES}
    tenants = [f"{world.tenant}-{change}" for change in CHANGES]
    await world.sql(
        "INSERT INTO engine.tenants VALUES ($1, $2, $1)", *((tenant, ACCOUNT) for tenant in tenants)
    )
    await world.sql(
        "INSERT INTO engine.keys (id, key_hash, kind, tenant, scopes, label) "
        "VALUES ($1, $2, 'key', $3, $4, 'test')",
        *(
            (key, hash_key(key), tenant, ["admin"])
            for key, tenant in zip(made.values(), tenants, strict=True)
        ),
    )
    return made


def environment(world: Any) -> dict[str, str]:
    return {
        **world.database.environment,
        **kafka_environment(world.kafka),
        "ENDCAP_SERVICE_KEY": SERVICE_KEY,
        "ENDCAP_SECRET_KEY": world.secret_key,
        "ENDCAP_RECOMMENDER_URL": world.recommender.url,
    }


@asynccontextmanager
async def locked(world: Any, table: str, mode: str) -> AsyncIterator[None]:
    """Lock a table of the router for a time."""
    connection = await asyncpg.connect(world.database.url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE router.{table} IN {mode} MODE")
            yield
    finally:
        await connection.close()


async def waiting(world: Any) -> int:
    """Return how many statements wait for a lock on a table."""
    rows = await world.sql(
        "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return len(rows)


async def connections(world: Any) -> int:
    """Return how many connections the router has."""
    rows = await world.sql(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'router'"
    )
    return len(rows)


async def stored(world: Any) -> dict[str, list[Any]]:
    """Return the rows, the log and the outbox."""
    tables = {
        "experiments": "SELECT tenant, version, status, revision, disabled, decision FROM router.experiments",
        "log": "SELECT tenant, version, revision, change FROM router.experiment_changes",
        "outbox": "SELECT aggregateid, payload::text FROM router.outbox",
    }
    return {name: sorted(map(tuple, await world.sql(query)), key=repr) for name, query in tables.items()}


async def states(world: Any) -> dict[str, list[tuple[str, int, str, int]]]:
    """Return the published states by tenant: id, version, status and revision."""
    by_tenant: dict[str, list[tuple[str, int, str, int]]] = {}
    for record in await raw_records(world.kafka, EXPERIMENTS.name):
        event = orjson.loads(record.value or b"{}")
        if event.get("tenant", "").startswith(world.tenant):
            state = event["event_id"], event["experiment_version"], event["status"], event["revision"]
            by_tenant.setdefault(event["tenant"], []).append(state)
    return by_tenant


async def kill_when_waiting(world: Any, router: Process, count: int) -> None:
    await eventually(lambda: waiting(world), enough=lambda seen: seen >= count)
    await asyncio.to_thread(router.kill)


async def test_a_change_is_made_entirely_or_not_at_all(
    world: Any, keys: dict[str, str], tmp_path: Path
) -> None:
    variables = environment(world)
    with process("router", "serve", variables, tmp_path) as running:
        for change in CHANGES:
            await Router(running.url, keys).prepare(change)
    before = await stored(world)

    for table in ("experiments", "experiment_changes", "outbox"):
        with process("router", "serve", variables, tmp_path) as running:
            # Rows can be read, as a change and the poll of running experiments do.
            async with locked(world, table, "SHARE"):
                changes = asyncio.create_task(Router(running.url, keys).make_all())
                await kill_when_waiting(world, running, len(CHANGES))
                with pytest.raises(httpx.TransportError):
                    await changes
            await eventually(lambda: connections(world), enough=lambda count: count == 0)
        assert await stored(world) == before

    with process("router", "serve", variables, tmp_path) as running:
        answers = await Router(running.url, keys).make_all()
        await asyncio.to_thread(running.kill)
    after = await stored(world)
    made = {change: answer.json() for change, answer in answers.items()}
    assert {answer.status_code for answer in answers.values()} == {200}
    assert {change: each["status"] for change, each in made.items()} == {
        "start": "running",
        "weights": "running",
        "pause": "paused",
        "decide": "decided",
        "kill-switch": "running",
    }
    assert made["kill-switch"]["disabled"] == ["treatment"]
    for change, each in made.items():
        tenant = f"{world.tenant}-{change}"
        rows = [row for row in after["experiments"] if row[:2] == (tenant, each["version"])]
        assert [row[2:4] for row in rows] == [(each["status"], each["revision"])]
        assert (tenant, each["version"], each["revision"]) in {row[:3] for row in after["log"]}
    assert len(after["outbox"]) >= len(before["outbox"]) + len(CHANGES)

    # The worker is killed after it has published, and before the outbox says so.
    with process("router", "worker", variables, tmp_path) as worker:
        async with locked(world, "outbox", "SHARE"):
            published = await eventually(lambda: states(world), enough=lambda seen: len(seen) == len(CHANGES))
            await kill_when_waiting(world, worker, 1)
    with process("router", "worker", variables, tmp_path):
        await eventually(lambda: world.sql("SELECT FROM router.outbox"), enough=lambda rows: not rows)
        final = await states(world)
    for change, each in made.items():
        tenant = f"{world.tenant}-{change}"
        assert final[tenant][-1][1:] == (each["version"], each["status"], each["revision"])
        # What was published twice has one id.
        assert set(published[tenant]) <= set(final[tenant])
