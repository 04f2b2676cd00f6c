"""What the tracker answers while Postgres is absent or hangs, and for a tenant that it does not know yet."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx

from tests.component.tracker.requests import an_event, headers
from tests.support.lateness import lateness
from tests.support.processes import Process, process
from tests.support.proxy import Proxy
from tests.support.stack import Database
from tests.support.tenants import make_tenant
from tests.support.waiting import PATIENCE, eventually


async def test_no_event_passes_rules_that_were_never_read(
    environment: dict[str, str], tmp_path: Path
) -> None:
    unreachable = environment | {"TRACKER_DATABASE_URL": "postgresql://tracker@127.0.0.1:1/endcap"}
    with process("tracker", "serve", unreachable, tmp_path) as tracker:
        async with httpx.AsyncClient(base_url=tracker.url, timeout=PATIENCE) as http:
            alive = await http.get("/livez")
            # The service key needs no Postgres; the rules about consent do.
            service = await http.post("/v1/events", json=an_event(), headers=headers("t-away"))
            stranger = await http.post("/v1/events", json=an_event(), headers={"x-api-key": "ek_ingest_x"})
            reading = await http.get("/v1/stats", headers=headers("t-away"))

    assert alive.status_code == 200
    assert [answer.status_code for answer in (service, stranger, reading)] == [503] * 3
    assert service.headers["retry-after"]


async def test_while_postgres_hangs_every_answer_comes_in_time(
    environment: dict[str, str], module_database: Database, tmp_path: Path
) -> None:
    tenant = await make_tenant(module_database, "hanging", "444444444444")
    async with Proxy(module_database.url) as proxy:
        hanging = environment | {
            "TRACKER_DATABASE_URL": proxy.url(module_database.role_url("tracker")),
            "DATABASE_REQUEST_SECONDS": "1.5",
            "ENDCAP_KEY_LOOKUP_SECONDS": "1",
        }
        with process("tracker", "serve", hanging, tmp_path) as tracker:
            async with httpx.AsyncClient(base_url=tracker.url, timeout=PATIENCE) as http:

                async def request(key: str, method: str = "GET") -> tuple[int, float]:
                    began = time.monotonic()
                    path, event = ("/v1/stats", None) if method == "GET" else ("/v1/events", an_event())
                    answer = await http.request(method, path, json=event, headers={"x-api-key": key})
                    return answer.status_code, time.monotonic() - began

                assert [(await request(tenant.read))[0], (await request(tenant.ingest, "POST"))[0]] == [
                    200,
                    200,
                ]
                proxy.hang()
                async with lateness() as late:
                    strangers = await asyncio.gather(*(request(f"ek_read_{n}") for n in range(50)))
                    readers = await asyncio.gather(*(request(tenant.read) for _ in range(20)))
                    known = await request(tenant.ingest, "POST")
                proxy.resume()

                async def is_back() -> bool:
                    return (await request(tenant.read))[0] == 200 and (await request("ek_read_x"))[0] == 401

                await eventually(is_back, every=0.2)

    assert ({status for status, _ in strangers}, {status for status, _ in readers}) == ({503}, {503})
    assert known[0] == 200
    # The quickest keep the promise; a busy machine may delay others. Without a deadline it is two minutes.
    for group in (strangers, readers):
        assert min(seconds for _, seconds in group) < 2 + late.worst
        assert max(seconds for _, seconds in group) < 10 + late.worst


async def test_a_tenant_made_later_is_let_in_by_the_next_request(
    module_database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    with process("tracker", "serve", environment, tmp_path) as tracker:
        tenant = await make_tenant(module_database, "later", "333333333333")
        answer = _posted(tracker, tenant.ingest)

    assert answer.status_code == 200


def _posted(tracker: Process, key: str) -> httpx.Response:
    return httpx.post(
        f"{tracker.url}/v1/events", json=an_event(), headers={"x-api-key": key}, timeout=PATIENCE
    )
