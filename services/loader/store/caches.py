"""Redis: the lists of the generations that are served, and one pointer per tenant.

`endcap:rec:{tenant}:{generation}:{recipe}:{id}` is a list, JSON [[item id, score], ...].
`endcap:gen:{tenant}` is the pointer, JSON {"activation": n, "generations": {recipe: generation},
"overlays": {recipe: {"generation": m, "as_of": seconds}}}; an overlay's list is read before the other.
`endcap:filled:{tenant}:{generation}` is the number of lists, set when all of them are written.

See docs/decisions/0028-generations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from services.loader.domain import ActiveGenerations
from services.loader.store.activations import RedisState
from services.loader.store.sql import SQL
from shared.errors import Transient
from shared.redis import CLIENT_ERRORS, get_all, set_all, unlink_all

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.postgres import Database

LISTS_PER_ROUND_TRIP = 2_000
"""About half a megabyte; arbitrary."""

# Compare and set: only a larger activation number replaces the pointer.
_SET_POINTER = """
local current = redis.call('GET', KEYS[1])
if current and cjson.decode(current)['activation'] >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


def list_key(tenant: str, generation: int, recipe: str, identifier: str) -> str:
    """Return the key of a list."""
    return f"endcap:rec:{tenant}:{generation}:{recipe}:{identifier}"


def pointer_key(tenant: str) -> str:
    """Return the key of the pointer of a tenant."""
    return f"endcap:gen:{tenant}"


def filled_key(tenant: str, generation: int) -> str:
    """Return the key that exists when all lists of a generation are written."""
    return f"endcap:filled:{tenant}:{generation}"


class Caches:
    """Writes lists and pointers to Redis. Every method may be interrupted and called again."""

    def __init__(self, client: Redis, database: Database) -> None:
        self._client = client
        self._database = database
        self._set_pointer_script = client.register_script(_SET_POINTER)

    async def fill(self, tenant: str, generation: int, rows: int) -> bool:
        """Write all lists of a generation unless they exist; return whether all exist now.

        Raises Transient when Redis is unavailable.
        """
        try:
            if await self._client.get(filled_key(tenant, generation)) == b"%d" % rows:
                return True
            if await self._write(tenant, generation) != rows:
                return False  # the partition is being dropped
            await self._client.set(filled_key(tenant, generation), rows)
        except CLIENT_ERRORS as error:
            raise Transient(f"Redis did not store generation {generation}: {error!r}") from error
        return True

    async def is_filled(self, tenant: str, generations: Iterable[int]) -> bool:
        """Return whether all lists of these generations exist; Transient when Redis is unavailable."""
        keys = [filled_key(tenant, generation) for generation in sorted(set(generations))]
        try:
            return not keys or None not in await get_all(self._client, keys)
        except CLIENT_ERRORS as error:
            raise Transient(f"Redis does not answer: {error!r}") from error

    async def set_pointer(self, active: ActiveGenerations) -> bool:
        """Set the pointer of a tenant; return False when its activation is the same or newer already.

        Raises Transient when Redis is unavailable.
        """
        pointer: dict[str, Any] = {"activation": active.activation, "generations": active.generations}
        if active.overlays:
            pointer["overlays"] = {
                recipe: {"generation": overlay.generation, "as_of": overlay.as_of.timestamp()}
                for recipe, overlay in active.overlays.items()
            }
        value = orjson.dumps(pointer)
        try:
            moved = await self._set_pointer_script(
                keys=[pointer_key(active.tenant)], args=[active.activation, value]
            )
        except CLIENT_ERRORS as error:
            raise Transient(f"Redis did not store the pointer: {error!r}") from error
        return bool(moved)

    async def outdated(self, states: list[RedisState]) -> list[RedisState]:
        """Return the states of tenants whose lists or pointer in Redis are missing or old.

        Raises Transient when Redis is unavailable.
        """
        if not states:
            return []
        keys = [
            [pointer_key(state.active.tenant)]
            + [filled_key(state.active.tenant, generation) for generation in state.rows]
            for state in states
        ]
        try:
            values = iter(await get_all(self._client, [key for group in keys for key in group]))
        except CLIENT_ERRORS as error:
            raise Transient(f"Redis does not answer: {error!r}") from error
        outdated = []
        for state in states:
            pointer = next(values)
            filled = [next(values) for _ in state.rows]
            if None in filled or _activation(pointer) < state.active.activation:
                outdated.append(state)
        return outdated

    async def delete_generation(self, tenant: str, generation: int, command: str) -> None:
        """Delete the lists of a dropped generation; `command` selects (recipe, id) from its detached table.

        Raises Transient when Redis is unavailable.
        """
        try:
            await self._client.unlink(filled_key(tenant, generation))
            async with self._database.transaction(readonly=True) as connection:
                keys: list[str] = []
                async for row in connection.cursor(command, prefetch=2000):
                    keys.append(list_key(tenant, generation, row["recipe"], row["id"]))
                    if len(keys) == LISTS_PER_ROUND_TRIP:
                        await unlink_all(self._client, keys)
                        keys.clear()
                await unlink_all(self._client, keys)
        except CLIENT_ERRORS as error:
            raise Transient(f"Redis did not delete generation {generation}: {error!r}") from error

    async def _write(self, tenant: str, generation: int) -> int:
        """Copy a generation from Postgres, two thousand lists at a time; return the number of lists."""
        written = 0
        size = LISTS_PER_ROUND_TRIP
        async with self._database.transaction(readonly=True) as connection:
            cursor = await connection.cursor(*SQL.entries(generation=generation))
            rows = await cursor.fetch(size)
            while rows:
                # Redis stores these lists while Postgres reads the next ones.
                storing = asyncio.create_task(self._set(tenant, generation, rows))
                written += len(rows)
                try:
                    rows = await cursor.fetch(size)
                finally:
                    await storing
        return written

    async def _set(self, tenant: str, generation: int, rows: Sequence[Sequence[Any]]) -> None:
        values = {
            list_key(tenant, generation, recipe, identifier): items for recipe, identifier, items in rows
        }
        await set_all(self._client, values)


def _activation(pointer: bytes | str | None) -> int:
    return int(orjson.loads(pointer)["activation"]) if pointer else 0
