"""The tracker among clients that send without end, slowly or nothing: its memory stays, others are served."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from tests.component.tracker.conftest import Tracker
from tests.support.processes import process
from tests.support.slow_clients import BEHAVIOURS, Target, attack, resident_mib
from tests.support.waiting import PATIENCE, eventually

CONNECTIONS = 25
"""Of each kind, 250 in all. Without limits these took 130 MiB more."""

MOST_MIB = 48.0
SECONDS = 8.0
QUICK = {
    "TRACKER_HTTP_HEADER_SECONDS": "2",
    "TRACKER_HTTP_BODY_SECONDS": "2",
    "TRACKER_HTTP_IDLE_SECONDS": "2",
    "TRACKER_READ_SECONDS": "60",
    "TRACKER_CONFIRM_SECONDS": "60",
    "ENDCAP_KEY_LOOKUP_SECONDS": "60",
}


async def test_clients_that_send_without_end_cost_no_memory_and_no_answer_of_others(
    tracker: Tracker, tmp_path: Path
) -> None:
    with process("tracker", "serve", tracker.environment | QUICK, tmp_path) as serve:
        headers = {"x-api-key": tracker.tenant.ingest}
        event = {"user_id": "u", "event_type": "view", "item_id": "i"}
        async with httpx.AsyncClient(base_url=serve.url, headers=headers, timeout=PATIENCE) as http:

            async def post() -> int:
                return (await http.post("/v1/events", json=event)).status_code

            assert [await post() for _ in range(50)] == [200] * 50
            before = most = resident_mib(serve.popen.pid)
            target = Target(serve.url, tracker.tenant.ingest)
            attacking = asyncio.create_task(
                asyncio.to_thread(attack, target, list(BEHAVIOURS), CONNECTIONS, SECONDS)
            )
            statuses = []
            while not attacking.done():
                statuses.append(await post())
                most = max(most, resident_mib(serve.popen.pid))
                await asyncio.sleep(0.05)
            outcomes = await attacking

            async def connections() -> int:
                page = (await http.get("/metrics")).text
                return next(
                    int(float(line.split()[1]))
                    for line in page.splitlines()
                    if line.startswith("endcap_http_connections ")
                )

            await eventually(connections, enough=lambda count: count <= 2, every=0.2)

    assert set(statuses) == {200}
    assert most - before < MOST_MIB, f"{most - before:.0f} MiB more"
    refused = {name: set(outcome.statuses) for name, outcome in outcomes.items() if outcome.statuses}
    assert refused["endless header"] == refused["endless url"] == {431}
    assert refused["slow header"] == refused["slow body"] == {408}
    assert refused["unknown key"] == {401}
    closed = {name for name, outcome in outcomes.items() if outcome.closed == CONNECTIONS}
    assert closed >= set(BEHAVIOURS) - {"pipelined"}
