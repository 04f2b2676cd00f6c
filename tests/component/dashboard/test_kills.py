"""The dashboard's process is killed while it makes a change: the audit log has the change in any case."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.processes import Process, process
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant
from tests.support.waiting import PATIENCE

KEY = {
    "id": "k1",
    "kind": "read",
    "scopes": ["read"],
    "label": "new",
    "created_at": "2026-11-30T12:00:00Z",
    "expires_at": None,
    "allowed_origins": None,
    "requires_origin": False,
    "key": "ek_read_new",
}


@contextmanager
def engine(on_change: Callable[[], None]) -> Iterator[str]:
    """Answer for the engine, and call `on_change` when a change has arrived, before its answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"keys": []})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            on_change()
            self._answer(201, KEY)

        def _answer(self, status: int, body: Any) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            with suppress(ConnectionError):  # nobody waits for the answer any more
                self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def create_key(dashboard: Process, admin: str) -> httpx.Response:
    """Create a key in the dashboard, as a person does."""
    with httpx.Client(base_url=dashboard.url, timeout=PATIENCE, trust_env=False) as browser:
        browser.post("/dashboard/sign-in", data={"key": admin})
        csrf = re.search(r'name="csrf" value="(\w+)"', browser.get("/dashboard/keys").text)
        assert csrf is not None
        return browser.post("/dashboard/keys", data={"kind": "read", "label": "new", "csrf": csrf[1]})


async def outcomes(database: Database) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(database.url)
    rows = await connection.fetch("SELECT action, outcome FROM dashboard.audit_log ORDER BY id")
    await connection.close()
    return [(row["action"], row["outcome"]) for row in rows]


async def test_a_change_is_in_the_audit_log_whenever_the_dashboard_is_killed(
    module_database: Database, shop: Tenant, tmp_path: Path
) -> None:
    running: list[Process] = []
    environment = {
        **module_database.environment,
        "ENDCAP_SECRET_KEY": SECRET_KEY,
        "ENDCAP_SERVICE_KEY": SERVICE_KEY,
    }

    def kill() -> None:
        running[0].popen.kill()

    with (
        engine(kill) as url,
        process("dashboard", "serve", environment | {"ENDCAP_ENGINE_URL": url}, tmp_path) as dashboard,
    ):
        running.append(dashboard)
        with pytest.raises(httpx.TransportError):
            create_key(dashboard, shop.admin)
    killed_during = await outcomes(module_database)
    with (
        engine(lambda: None) as url,
        process("dashboard", "serve", environment | {"ENDCAP_ENGINE_URL": url}, tmp_path) as dashboard,
    ):
        answer = create_key(dashboard, shop.admin)
        dashboard.kill()

    assert killed_during == [("create key", "begun")]
    assert answer.status_code == 200
    assert await outcomes(module_database) == [("create key", "begun"), ("create key", "done")]
