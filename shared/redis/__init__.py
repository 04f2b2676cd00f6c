"""Redis: one multiplexed connection for frequent commands, redis-py for all others.

`Multiplexer` sends the commands of all requests of a process over one connection, at a tenth of the CPU time
of a pooled client. `client` returns a redis-py client, for scans, streams and other rare commands.

See docs/decisions/0029-serving.
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
    """Return a redis-py client whose commands time out after `timeout` seconds."""
    return redis.asyncio.from_url(
        settings.redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 2.0),
        max_connections=16,
    )
