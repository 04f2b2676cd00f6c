"""Periods of a bandit in Postgres: rewards that come late, two replicas, a killed process."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from typing import Any

import asyncpg

from services.router.store.bandit_sums import BanditStore
from services.router.store.experiments import Experiments
from services.router.worker import Bandits
from shared.experiments import Bandit
from shared.postgres import Database
from tests.component.router.counting import AUTHOR, Shop, counting
from tests.support.processes import start
from tests.support.waiting import eventually

DESIGN = Bandit(period_minutes=15, reward_hours=1 / 60, floor=0.1)
KILLED = """
import asyncio, sys
from services.router.settings import Settings
from services.router.store.bandit_sums import BanditStore
from services.router.store.experiments import Experiments
from services.router.worker import Bandits
from shared.postgres import Database
from shared.settings import PostgresSettings

async def main():
    settings = Settings()
    database = Database(PostgresSettings(database_url=sys.argv[1]), "router")
    await database.start()
    await Bandits(Experiments(database, settings), BanditStore(database, settings)).check()

asyncio.run(main())
"""


async def due(world: Any) -> None:
    """Let the newest period have begun sixteen minutes ago."""
    await world.sql(
        "UPDATE router.experiments SET started_at = now() - interval '16 minutes' WHERE status = 'running'"
    )


async def exposed(shop: Shop, count: int = 120) -> None:
    """Expose people to both variants; a fifth of those of a purchase, and half of those of b."""
    events = []
    for number in range(count * 2):
        variant, unit = "ab"[number % 2], f"u{number}"
        await shop.expose(unit, 10, variant)
        if number % 10 == 0 or (variant == "b" and number % 4 == 1):
            events.append(shop.event("purchase", 20, unit))
            events.append(shop.event("purchase", 200, unit))  # too late for a reward
    await shop.did(*events)


async def rows(world: Any) -> list[tuple[int, str, int]]:
    found = await world.sql("SELECT version, status, phase FROM router.experiments ORDER BY version")
    return [tuple(row) for row in found]


async def test_replicas_begin_one_period_with_the_weights_of_the_rewards(world: Any) -> None:
    async with counting(world, design=DESIGN) as shop, AsyncExitStack() as parts:
        await exposed(shop)
        replicas = []
        for _ in range(3):
            database = Database(world.settings().postgres, "router")
            await database.start()
            parts.push_async_callback(database.stop)
            store = BanditStore(database, world.settings())
            replicas.append(Bandits(Experiments(database, world.settings()), store))
        await shop.experiments.force(shop.tenant, "same", {"me": "b"}, AUTHOR)
        await replicas[0].check()
        early = await rows(world)
        await due(world)
        await asyncio.gather(*(replica.check() for replica in replicas))
        first = await rows(world)
        await shop.experiments.enable(shop.tenant, "same", "b", AUTHOR, enabled=False)
        await due(world)
        await asyncio.gather(*(replica.check() for replica in replicas))
        versions = [await shop.experiments.get(shop.tenant, "same", number) for number in (1, 2, 3)]
        periods = await store.periods(versions[2])
        log = await shop.experiments.changes(shop.tenant, "same", 20)

    assert early == [(1, "running", 1)]
    assert first == [(1, "stopped", 1), (2, "running", 2)]
    shares = [{each.name: each.weight for each in version.variants} for version in versions]
    assert shares[1]["b"] > 0.85
    assert shares[2] == {"a": 0.9, "b": 0.1}
    assert [version.forced for version in versions] == [{"me": "b"}] * 3
    assert versions[2].disabled == ("b",)
    assert periods[0].sums == {"a": (120, 24, 24), "b": (120, 60, 60)}
    assert periods[0].exposed == {"a": 120, "b": 120}
    assert [period.disabled for period in periods] == [[], ["b"], ["b"]]
    assert [period.version for period in periods] == [1, 2, 3]
    assert [each.actor for each in log if each.change == "next period"] == ["bandit"] * 2


async def test_a_killed_process_leaves_a_whole_period(world: Any) -> None:
    async with counting(world, design=DESIGN) as shop:
        await exposed(shop)
        await due(world)
        blocker = await asyncpg.connect(world.database.url)
        transaction = blocker.transaction()
        await transaction.start()
        # The process has added a version, and waits for the log, when it is killed.
        await blocker.execute("LOCK TABLE router.experiment_changes")
        process = start(
            [sys.executable, "-c", KILLED, world.database.role_url("router")],
        )

        async def waits() -> bool:
            waiting = await world.sql("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            return bool(waiting)

        await eventually(waits)
        process.send_signal(signal.SIGKILL)
        process.wait()
        await transaction.rollback()
        await blocker.close()
        after_kill = await rows(world)

        database = Database(world.settings().postgres, "router")
        await database.start()
        try:
            store = BanditStore(database, world.settings())
            await Bandits(Experiments(database, world.settings()), store).check()
        finally:
            await database.stop()

        assert after_kill == [(1, "running", 1)]
        assert await rows(world) == [(1, "stopped", 1), (2, "running", 2)]
        assert shop.tenant
