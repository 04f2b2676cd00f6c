"""Training runs as an operator sees them, and the resources that they make."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import asyncpg

from tests.component.trainer.conftest import Installation
from tests.support.waiting import eventually

# What a tenant keeps from run to run, and what each run makes anew.
LASTING = Counter({"dataset": 3, "schema": 3, "solution": 3, "campaign": 1})
PER_RUN = Counter({"dataset-import-job": 3, "solution-version": 3, "batch-inference-job": 3})


async def ended(installation: Installation, number: int, tenant: str = "default") -> dict[str, Any]:
    return await eventually(
        lambda: asyncio.to_thread(installation.run, number, tenant),
        f"run {number} ended",
        enough=lambda run: run["status"] in {"completed", "failed"},
        every=0.1,
    )


async def made(administrator: asyncpg.Connection) -> Counter[str]:
    """How many of each resource the engine has."""
    rows = await administrator.fetch("SELECT type, count(*) FROM engine.resources GROUP BY type")
    return Counter({row["type"]: row["count"] for row in rows})


def details(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["name"]: step["detail"] for step in run["steps"]}


async def another_worker(installation: Installation, administrator: asyncpg.Connection) -> None:
    """Start a worker instead of a killed one, whose lease is over at once rather than in 15 s."""
    await administrator.execute("UPDATE trainer.jobs SET lease_until = now() WHERE status = 'running'")
    await asyncio.to_thread(installation.start, "trainer", "worker")
