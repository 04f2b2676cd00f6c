"""Postgres crashes in the middle of an import, and forgets what was not logged."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx

from deploy.local import product
from deploy.local.ports import Ports
from deploy.local.stack import Stack
from tests.component.sync.test_kills import a_file, refused_rows
from tests.support.folders import stack_folder
from tests.support.processes import process
from tests.support.stack import Database, PostgresServer
from tests.support.tenants import make_tenant
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from tests.component.sync.conftest import Sync


@contextmanager
def own_postgres() -> Iterator[Database]:
    """A migrated database on a server that nobody else uses."""
    with stack_folder("postgres") as folder:
        stack = Stack(folder, Ports.free(), {}, durable=False)
        stack.launch(["postgres"], ends_with_caller=True)
        try:
            stack.start("postgres")
            with PostgresServer(stack.postgres_admin, stack.secrets.roles).database() as database:
                environment = {**stack.environment, **database.environment}
                product.create_roles(environment, stack.preparation_log)
                product.migrate(environment, stack.preparation_log)
                yield database
        finally:
            stack.stop()


async def fetch_value(database: Database, query: str) -> Any:
    connection = await asyncpg.connect(database.url, server_settings={"search_path": "sync"})
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def crash(database: Database) -> None:
    """Kill a session's process: the server then ends all others, and recovers from its log."""
    os.kill(
        asyncio.run(fetch_value(database, "SELECT pid FROM pg_stat_activity WHERE usename = 'sync' LIMIT 1")),
        signal.SIGKILL,
    )


def test_an_import_goes_on_when_postgres_has_crashed(sync: Sync, tmp_path: Path) -> None:
    content = a_file("c", 2_000)
    with own_postgres() as database:
        tenant = asyncio.run(make_tenant(database, "crash"))
        environment = {**sync.environment, **database.environment, "SYNC_CHUNK_ROWS": "100"}
        with (
            process("sync", "serve", environment, tmp_path) as serve,
            process("sync", "worker", environment, tmp_path),
            httpx.Client(base_url=serve.url, headers={"x-api-key": tenant.admin}, timeout=PATIENCE) as http,
        ):
            answer = http.post("/v1/imports", files={"file": ("o.csv", content)}, data={"kind": "orders"})
            address = f"/v1/imports/{answer.json()['id']}"

            def reached(progress: float) -> dict[str, Any]:
                return until(
                    # While Postgres recovers, the answer is a 503.
                    lambda: known.json() if (known := http.get(address)).status_code == 200 else None,
                    f"the import is at {progress}",
                    enough=lambda report: float(report["progress"] or 0) >= progress,
                    every=0.01,
                )

            assert reached(0.6)["step"] == "orders"
            crash(database)
            report = reached(1.0)

        orders, lines, events = (
            # The worker also imports what other tests have uploaded to the same object store.
            asyncio.run(fetch_value(database, f"SELECT count(*) FROM {name} WHERE tenant = 'crash'"))
            for name in ("orders", "order_items", "outbox")
        )

    read, bad = content.count(b"\n") - 1, refused_rows(content)
    assert report["rows"] == {"read": read, "accepted": read - bad, "rejected": bad, "duplicate": 0}
    assert (orders, lines) == (report["changes"]["orders"], read - bad)
    assert events == sum(report["changes"][name] for name in ("orders", "items", "users")) + 1
