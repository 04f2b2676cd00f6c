"""Redis: one multiplexed connection for what is hot, redis-py for the rest.

`Multiplexer` sends the commands of every request of a process over one connection, which costs a tenth of a
pooled client. `client` is redis-py, for scans, streams and whatever else is not called a thousand times a
second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis.asyncio

from shared.redis.multiplexer import Multiplexer
from shared.redis.replies import CommandRefused, Unavailable

if TYPE_CHECKING:
    from shared.settings import RedisSettings

__all__ = ["CommandRefused", "Multiplexer", "Unavailable", "client"]


def client(settings: RedisSettings, *, timeout: float = 5.0) -> redis.asyncio.Redis:
    """A redis-py client; every wait in it ends after `timeout` seconds."""
    return redis.asyncio.from_url(
        settings.redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 2.0),
        max_connections=16,
    )
