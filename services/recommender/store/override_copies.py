"""Copies of overrides in Redis, where they are read for an answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.domain.override import Override
from services.recommender.store import SQL
from services.recommender.store.keys import overrides_key
from services.recommender.store.override_script import PUT, REMOVE

if TYPE_CHECKING:
    from shared.postgres import Database
    from shared.redis import Multiplexer

PAGE_SIZE = 1_000
"""Overrides that are copied in one pipeline; arbitrary."""


def of_row(row: Mapping[str, Any]) -> Override:
    """Return the override of a row of the table."""
    return Override(
        row["tenant"],
        row["user_id"],
        row["item_id"],
        row["score"],
        row["category"],
        row["recorded_at"].timestamp(),
        row["expires_at"].timestamp(),
        row["version"],
    )


def encode(override: Override) -> bytes:
    """Return the value of a field in Redis: JSON [item, score, category, recorded, expires, version]."""
    return orjson.dumps(
        [
            override.item_id,
            override.score,
            override.category,
            override.recorded_at,
            override.expires_at,
            override.version,
        ]
    )


def decode(tenant: str, user_id: str, values: Sequence[bytes]) -> list[Override]:
    """Return the overrides of the values of a user's hash; ValueError for anything else."""
    documents = orjson.loads(b"[" + b",".join(values) + b"]")
    return [Override(tenant, user_id, *document) for document in documents]


class OverrideCopies:
    """Copies rows of the table to Redis. Several processes may copy the same row at the same time."""

    def __init__(self, redis: Multiplexer, database: Database) -> None:
        self._redis = redis
        self._database = database

    async def copy(self, overrides: Sequence[Override]) -> None:
        """Write overrides to Redis, and remember in Postgres that they are there.

        A row that was deleted or replaced since it was read leaves no copy. Raise Transient while Redis is
        unavailable, and errors of asyncpg while Postgres is.
        """
        now = time.time()
        await self._redis.execute(
            *(
                (
                    *("EVAL", PUT, 1, overrides_key(each.tenant, each.user_id), each.item_id, encode(each)),
                    *(each.version, max(1, round(each.expires_at - now)), round(now)),
                )
                for each in overrides
            )
        )
        rows = await self._database.fetch(*SQL.mark_copied(versions=[each.version for each in overrides]))
        copied = {row["version"] for row in rows}
        if gone := [each for each in overrides if each.version not in copied]:
            await self._redis.execute(
                *(
                    ("EVAL", REMOVE, 1, overrides_key(each.tenant, each.user_id), each.item_id, each.version)
                    for each in gone
                )
            )

    async def copy_missing(self) -> int:
        """Copy the rows that a put could not copy, because Redis was away; return their number."""
        count = 0
        while rows := await self._database.fetch(*SQL.uncopied_overrides(page_size=PAGE_SIZE)):
            await self.copy([of_row(row) for row in rows])
            count += len(rows)
        return count

    async def copy_all(self) -> int:
        """Copy every override, after Redis lost data; return their number."""
        last, count = 0, 0
        while rows := await self._database.fetch(*SQL.overrides_after(version=last, page_size=PAGE_SIZE)):
            await self.copy([of_row(row) for row in rows])
            last, count = rows[-1]["version"], count + len(rows)
        return count

    async def delete_expired(self) -> None:
        """Delete the rows that have expired; Redis expires its copies itself."""
        await self._database.execute(*SQL.delete_expired_overrides())
