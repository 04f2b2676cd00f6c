"""Redis: the lists of the generations that are served, and one pointer per tenant.

`endcap:rec:{tenant}:{generation}:{recipe}:{id}` is a list, JSON [[item id, score], ...].
`endcap:gen:{tenant}` is the pointer, JSON {"activation": n, "generations": {recipe: generation}}.
`endcap:filled:{tenant}:{generation}` is how many lists there are, once all of them are there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import redis.exceptions

from services.loader.domain import Served
from services.loader.store.activations import Wanted
from services.loader.store.sql import SQL
from shared.errors import Transient

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.postgres import Database

# A command with so many lists takes Redis about a millisecond, in which nobody else is answered.
LISTS_PER_COMMAND = 250
COMMANDS_PER_ROUND_TRIP = 8

# Only a greater activation replaces what is there, whoever comes last.
_FLIP = """
local current = redis.call('GET', KEYS[1])
if current and cjson.decode(current)['activation'] >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


def list_key(tenant: str, generation: int, recipe: str, identifier: str) -> str:
    """Where one list is."""
    return f"endcap:rec:{tenant}:{generation}:{recipe}:{identifier}"


def pointer_key(tenant: str) -> str:
    """Where a tenant's pointer is."""
    return f"endcap:gen:{tenant}"


def filled_key(tenant: str, generation: int) -> str:
    """What is there when all lists of a generation are."""
    return f"endcap:filled:{tenant}:{generation}"


class Caches:
    """Brings Redis to what Postgres says. Every method may be cut off and called again."""

    def __init__(self, client: Redis, database: Database) -> None:
        self._client = client
        self._database = database
        self._flip = client.register_script(_FLIP)

    async def fill(self, tenant: str, generation: int, rows: int) -> bool:
        """Write all lists of a generation, if they aren't there; say whether they are now."""
        try:
            if await self._client.get(filled_key(tenant, generation)) == b"%d" % rows:
                return True
            if await self._write(tenant, generation) != rows:
                return False  # its partition is being dropped
            await self._client.set(filled_key(tenant, generation), rows)
        except redis.exceptions.RedisError as error:
            raise Transient(f"Redis did not take generation {generation}: {error!r}") from error
        return True

    async def is_filled(self, tenant: str, generations: Iterable[int]) -> bool:
        """Whether all lists of these generations are there."""
        keys = [filled_key(tenant, generation) for generation in sorted(set(generations))]
        try:
            return not keys or None not in await self._client.mget(keys)
        except redis.exceptions.RedisError as error:
            raise Transient(f"Redis does not answer: {error!r}") from error

    async def point(self, served: Served) -> bool:
        """Move the tenant's pointer; False when it says that or something newer already."""
        value = orjson.dumps({"activation": served.activation, "generations": served.generations})
        try:
            moved = await self._flip(keys=[pointer_key(served.tenant)], args=[served.activation, value])
        except redis.exceptions.RedisError as error:
            raise Transient(f"Redis did not take the pointer: {error!r}") from error
        return bool(moved)

    async def behind(self, wanted: list[Wanted]) -> list[Wanted]:
        """Those tenants of which Redis has lost a generation, or doesn't point to it yet."""
        if not wanted:
            return []
        keys = [
            [pointer_key(one.served.tenant)] + [filled_key(one.served.tenant, number) for number in one.rows]
            for one in wanted
        ]
        try:
            values = iter(await self._client.mget([key for group in keys for key in group]))
        except redis.exceptions.RedisError as error:
            raise Transient(f"Redis does not answer: {error!r}") from error
        late = []
        for one in wanted:
            pointer = next(values)
            filled = [next(values) for _ in one.rows]
            if None in filled or _activation(pointer) < one.served.activation:
                late.append(one)
        return late

    async def forget(self, tenant: str, generation: int, command: str) -> None:
        """Remove the lists of a dropped generation; `command` reads (recipe, id) of its old table."""
        try:
            await self._client.unlink(filled_key(tenant, generation))
            async with self._database.transaction(readonly=True) as connection:
                keys: list[str] = []
                async for row in connection.cursor(command, prefetch=2000):
                    keys.append(list_key(tenant, generation, row["recipe"], row["id"]))
                    if len(keys) == LISTS_PER_COMMAND:
                        await self._client.unlink(*keys)
                        keys.clear()
                if keys:
                    await self._client.unlink(*keys)
        except redis.exceptions.RedisError as error:
            raise Transient(f"Redis did not forget generation {generation}: {error!r}") from error

    async def _write(self, tenant: str, generation: int) -> int:
        """Copy a generation from Postgres, some thousand lists in memory at a time."""
        written = 0
        size = LISTS_PER_COMMAND * COMMANDS_PER_ROUND_TRIP
        async with self._database.transaction(readonly=True) as connection:
            cursor = await connection.cursor(*SQL.entries(generation=generation))
            rows = await cursor.fetch(size)
            while rows:
                # Redis takes these lists while Postgres prepares the next ones.
                taking = asyncio.create_task(self._set(tenant, generation, rows))
                written += len(rows)
                try:
                    rows = await cursor.fetch(size)
                finally:
                    await taking
        return written

    async def _set(self, tenant: str, generation: int, rows: Sequence[Sequence[Any]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for start in range(0, len(rows), LISTS_PER_COMMAND):
            pipeline.mset(
                {
                    list_key(tenant, generation, recipe, identifier): items
                    for recipe, identifier, items in rows[start : start + LISTS_PER_COMMAND]
                }
            )
        await pipeline.execute()


def _activation(pointer: bytes | str | None) -> int:
    return int(orjson.loads(pointer)["activation"]) if pointer else 0
