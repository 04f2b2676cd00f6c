"""Rows of jobs."""

from __future__ import annotations

from shared import jobs
from shared.postgres import Database
from tests.support.waiting import eventually


async def until_finished(pool: Database, key: str) -> dict[str, object]:
    row = await eventually(
        lambda: pool.fetchrow(*jobs.SQL.job(kind="work", key=key)),
        f"job {key} finished",
        enough=lambda row: row["status"] in {"done", "failed"},
        every=0.05,
    )
    return dict(row)
