"""Rows of the outbox: append some, and wait until they are relayed."""

from __future__ import annotations

from shared import outbox
from shared.events import InteractionRecorded
from shared.events.topics import Topic
from shared.postgres import UNAVAILABLE, Database
from tests.support.waiting import eventually


async def pending(pool: Database) -> int:
    row = await pool.fetchrow(*outbox.SQL.backlog())
    assert row is not None
    return int(row["pending"])


async def until_relayed(pool: Database) -> None:
    async def empty() -> bool:
        try:
            return not await pending(pool)
        except UNAVAILABLE:
            return False

    await eventually(empty)


async def append(pool: Database, topic: Topic, *events: InteractionRecorded) -> None:
    async with pool.transaction() as connection:
        await outbox.append(connection, topic, events)
