"""Commands with many keys by a redis-py client, which a cluster accepts only for keys of one slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from redis.asyncio.cluster import RedisCluster

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis.asyncio import Redis

KEYS_PER_COMMAND: Final = 250
"""Redis needs about a millisecond for such a command, and answers no other client meanwhile."""


async def get_all(client: Redis, keys: Sequence[str]) -> list[Any]:
    """Return the value of each key, None for those that do not exist; raises `CLIENT_ERRORS`."""
    if not keys:
        return []
    if _is_cluster(client):
        return list(await cast("Any", client).mget_nonatomic(keys))
    return list(await client.mget(keys))


async def set_all(client: Redis, values: Mapping[str, Any]) -> None:
    """Set each key, in one round trip to each server; raises `CLIENT_ERRORS`."""
    pipeline = client.pipeline(transaction=False)
    if _is_cluster(client):
        for key, value in values.items():
            pipeline.set(key, value)
    else:
        items = list(values.items())
        for begin in range(0, len(items), KEYS_PER_COMMAND):
            pipeline.mset(dict(items[begin : begin + KEYS_PER_COMMAND]))
    await pipeline.execute()


async def unlink_all(client: Redis, keys: Sequence[str]) -> None:
    """Delete keys, in one round trip to each server; raises `CLIENT_ERRORS`."""
    pipeline = client.pipeline(transaction=False)
    if _is_cluster(client):
        for key in keys:
            pipeline.execute_command("UNLINK", key)
    else:
        for begin in range(0, len(keys), KEYS_PER_COMMAND):
            pipeline.unlink(*keys[begin : begin + KEYS_PER_COMMAND])
    await pipeline.execute()


def _is_cluster(client: object) -> bool:
    return isinstance(client, RedisCluster)
