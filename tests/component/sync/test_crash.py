"""Postgres crashes in the middle of an import, and forgets what was not logged."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.component.sync.test_kills import a_file, refused_rows
from tests.support.processes import process
from tests.support.stack import Components, Database
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.component.sync.conftest import Sync


async def fetch_value(database: Database, query: str, *arguments: str) -> Any:
    connection = await asyncpg.connect(database.url, server_settings={"search_path": "sync"})
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


def crash(database: Database) -> None:
    """Kill a session's process: the server then ends all others, and recovers from its log."""
    os.kill(
        asyncio.run(fetch_value(database, "SELECT pid FROM pg_stat_activity WHERE usename = 'sync' LIMIT 1")),
        signal.SIGKILL,
    )


def expire_leases(database: Database) -> bool:
    """Let the leases of jobs run out, rather than after fifteen seconds; False while Postgres recovers."""
    try:
        asyncio.run(fetch_value(database, "UPDATE jobs SET lease_until = now() WHERE status = 'running'"))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


@pytest.fixture
def own_postgres(components: Components) -> None:
    """Fail if the server belongs to others than this process of tests."""
    if "postgres" in components.stack.external:
        pytest.fail("Postgres is external and must not crash: unset its address for this test")


def test_an_import_goes_on_when_postgres_has_crashed(sync: Sync, own_postgres: None, tmp_path: Path) -> None:
    content = a_file("c", 2_000)
    with process("sync", "worker", sync.environment | {"SYNC_CHUNK_ROWS": "100"}, tmp_path):
        address = f"/v1/imports/{sync.post(content).json()['id']}"

        def reached(progress: float) -> dict[str, Any]:
            return until(
                # While Postgres recovers, the answer is a 503.
                lambda: known.json() if (known := sync.get(address)).status_code == 200 else None,
                f"the import is at {progress}",
                enough=lambda report: float(report["progress"] or 0) >= progress,
                every=0.01,
            )

        assert reached(0.6)["step"] == "orders"
        crash(sync.database)
        until(lambda: expire_leases(sync.database), "Postgres has recovered")
        report = reached(1.0)

    orders, lines, events = (
        # The worker also imports what other tests have uploaded to the same object store.
        asyncio.run(
            fetch_value(sync.database, f"SELECT count(*) FROM {name} WHERE tenant = $1", sync.tenant.name)
        )
        for name in ("orders", "order_items", "outbox")
    )

    read, bad = content.count(b"\n") - 1, refused_rows(content)
    assert report["rows"] == {"read": read, "accepted": read - bad, "rejected": bad, "duplicate": 0}
    assert (orders, lines) == (report["changes"]["orders"], read - bad)
    assert events == sum(report["changes"][name] for name in ("orders", "items", "users")) + 1
