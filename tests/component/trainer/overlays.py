"""Lists that are renewed and added between trainings, and where they are served from."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import orjson
from redis.asyncio import Redis

from tests.component.trainer.conftest import USERS, Installation
from tests.component.trainer.runs import details, ended
from tests.support.tenants import SERVICE_KEY
from tests.support.waiting import PATIENCE, eventually

_EVENT = (
    "INSERT INTO tracker.interactions (tenant, event_id, user_id, event_type, item_id, source, occurred_at, "
    "received_at, historical, fingerprint) "
    "VALUES ('default', $1, $2, 'purchase', $3, 'order', $4, $4, false, 0)"
)


async def a_new_customer_and_a_new_item(administrator: asyncpg.Connection) -> None:
    """Store what happened since the last training."""
    now = datetime.now(UTC)
    await administrator.execute(
        "INSERT INTO sync.items (tenant, item_id, name, category, price) "
        "VALUES ('default', 'item-new', 'New', 'taste-1', 3)"
    )
    await administrator.executemany(
        _EVENT, [(f"newcomer-{item}", "newcomer", item, now) for item in ("item-1", "item-3", "item-new")]
    )
    await administrator.execute("UPDATE tracker.interactions SET value = fingerprint + 1 WHERE value IS NULL")


async def stored_long_ago(administrator: asyncpg.Connection) -> None:
    """Let everything have been stored before the minute that a snapshot of newer interactions repeats."""
    await administrator.execute("UPDATE tracker.interactions SET stored_at = now() - interval '1 hour'")


async def scheduled_run(
    installation: Installation, administrator: asyncpg.Connection, **definition: Any
) -> int:
    """Let a schedule be due while two workers run, of which one is killed; return the number of the run."""
    answer = await asyncio.to_thread(
        httpx.put,
        f"{installation.running['trainer-serve'].url}/v1/schedules/often",
        json={"cron": "0 */12 * * *", **definition},
        headers={"x-api-key": SERVICE_KEY, "x-endcap-tenant": "default"},
        timeout=PATIENCE,
    )
    assert answer.is_success, answer.text
    first = installation.running.pop("trainer-worker")
    await asyncio.to_thread(installation.start, "trainer", "worker")
    await administrator.execute("UPDATE trainer.schedules SET next_due = now() WHERE name = 'often'")
    query = (
        "SELECT last_run FROM trainer.schedules WHERE name = 'often' AND last_due > now() - interval '1 year'"
    )
    run = await eventually(lambda: administrator.fetchval(query), "the schedule has a run", every=0.02)
    first.kill()
    await administrator.execute("UPDATE trainer.jobs SET lease_until = now() WHERE status = 'running'")
    requested = await administrator.fetchval(
        "SELECT count(*) FROM trainer.runs WHERE 'schedule often' = ANY (reasons)"
    )
    assert requested == 1
    return int(run)


async def overlay_of(administrator: asyncpg.Connection, run: int) -> int:
    """Wait until a run overlays the lists of users, and return the number of its lists."""
    query = "SELECT overlay FROM loader.active WHERE recipe = 'user-personalization' AND tenant = 'default'"
    await eventually(lambda: administrator.fetchval(query), f"overlay {run}", enough=lambda n: n == run)
    return int(await administrator.fetchval("SELECT rows FROM loader.generations WHERE generation = $1", run))


async def renewed_and_extended(installation: Installation, administrator: asyncpg.Connection) -> None:
    """Run a VIP schedule, and then an incremental run; the lists of both are served."""
    await stored_long_ago(administrator)
    await a_new_customer_and_a_new_item(administrator)
    number = await scheduled_run(
        installation, administrator, kind="vip", vip_share=0.1, vip_window_days=36500
    )
    vip = await ended(installation, number)

    assert (vip["status"], vip["error"], vip["kind"]) == ("completed", None, "vip")
    assert {step["name"] for step in vip["steps"] if step["status"] == "skipped"} == {
        "wait", "train", "campaign", "popularity"
    }  # fmt: skip
    snapshot = details(vip)["snapshot"]
    counts = [snapshot[name] for name in ("vip_users", "new_users", "new_items")]
    best = (USERS + 1 + 9) // 10
    assert counts == [best, 1, 1]
    assert snapshot["files"]["interactions"]["rows"] == 3
    lists = await overlay_of(administrator, number)
    redis = Redis.from_url(installation.environment["REDIS_URL"])
    key = f"endcap:rec:default:{number}:user-personalization:newcomer"
    of_newcomer = [item for item, _ in orjson.loads(await redis.get(key))]
    tastes = [int(item.removeprefix("item-")) % 2 for item in of_newcomer]
    assert sum(tastes) > len(tastes) / 2
    similar = orjson.loads(await redis.get(f"endcap:rec:default:{number}:similar-items:item-new"))
    assert {"item-1", "item-3"} <= {item for item, _ in similar}

    await stored_long_ago(administrator)
    incremental = await ended(installation, await asyncio.to_thread(installation.ask, kind="incremental"))
    assert (incremental["status"], incremental["kind"]) == ("completed", "incremental")
    assert details(incremental)["snapshot"]["files"]["interactions"]["rows"] == 0
    assert await overlay_of(administrator, incremental["run"]) == lists

    async def pointed_at() -> int:
        pointer = orjson.loads(await redis.get("endcap:gen:default"))
        return int(pointer["overlays"]["user-personalization"]["generation"])

    # The pointer is written after the transaction that activates the overlay.
    await eventually(pointed_at, "the pointer", enough=lambda generation: generation == incremental["run"])
    await redis.aclose()
    print(  # noqa: T201
        f"\nVIP {counts} in {vip['seconds']:.2f} s, incremental in {incremental['seconds']:.2f} s, "
        f"{lists} lists"
    )
