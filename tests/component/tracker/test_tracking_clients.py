"""Unmodified clients of vendors, whose first answer gets lost: every event is stored, and stored once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

from tests.component.tracker.conftest import Tracker
from tests.support.processes import Process
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE

PROGRAMS = Path(__file__).with_name("clients")
COUNT = 12
PYTHON = ("segment-analytics-python", "rudder-sdk-python", "posthog", "snowplow-tracker", "cloudevents")
NODE = (
    "@segment/analytics-node",
    "@rudderstack/rudder-sdk-node",
    "posthog-node",
    "@snowplow/node-tracker",
)


async def run(command: list[str], folder: Path) -> dict[str, str]:
    """Run a program, and return what it prints: the version of each client."""
    environment = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"}
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=pipe, stderr=pipe
    )
    async with asyncio.timeout(PATIENCE):
        output, errors = await program.communicate()
    assert program.returncode == 0, errors.decode()
    versions: dict[str, str] = json.loads(output.splitlines()[-1])
    return versions


async def test_an_answer_that_is_lost_is_no_event_lost_or_doubled(
    tracker: Tracker, worker: Process, user: str, tracking_python: Path, tracking_node: Path
) -> None:
    shutil.copy(PROGRAMS / "send_events.mjs", tracking_node)
    async with AsyncExitStack() as stack:
        proxies = {
            name: await stack.enter_async_context(Proxy(tracker.serve.url)) for name in (*PYTHON, *NODE)
        }
        for proxy in proxies.values():
            proxy.cut_answers(1)
        urls = json.dumps({name: proxy.url(tracker.serve.url) for name, proxy in proxies.items()})
        arguments = [urls, tracker.tenant.ingest, user, str(COUNT)]
        await asyncio.gather(
            run([str(tracking_python), str(PROGRAMS / "send_events.py"), *arguments], PROGRAMS),
            run(["node", "send_events.mjs", *arguments], tracking_node),
        )
        assert {name: proxy.answers_to_cut for name, proxy in proxies.items()} == dict.fromkeys(proxies, 0)

    for name in proxies:
        stored = await tracker.until_stored(COUNT, user_id=f"{user}-{name}")
        assert {(event["event_type"], event["item_id"]) for event in stored} == {
            ("view", f"item-{number}") for number in range(COUNT)
        }, name
        assert len(stored) == COUNT, name
    read = {"x-api-key": tracker.tenant.read}
    conflicts = tracker.http.get("/v1/conflicts", headers=read).json()["conflicts"]
    assert not [each for each in conflicts if str(each["event"].get("user_id", "")).startswith(user)]
