"""Redis: one multiplexed connection for frequent commands, redis-py for all others.

`create_multiplexer` returns the connection over which a process sends the commands of all its requests, at a
tenth of the CPU time of a pooled client. `client` returns a redis-py client, for scans, streams and other
rare commands. Both follow the master that sentinels name, and route commands in a cluster.

See docs/decisions/0029-serving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis.asyncio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from shared.redis.cluster import ClusterMultiplexer
from shared.redis.location import Kind, Location
from shared.redis.many_keys import get_all, set_all, unlink_all
from shared.redis.multiplexer import Multiplexer
from shared.redis.replies import CommandRefused, Unavailable
from shared.redis.sentinel import sentinels

if TYPE_CHECKING:
    from shared.settings import RedisSettings

__all__ = [
    "CLIENT_ERRORS",
    "CommandRefused",
    "Multiplexer",
    "Unavailable",
    "client",
    "create_multiplexer",
    "get_all",
    "set_all",
    "unlink_all",
]

CLIENT_ERRORS = (RedisError, RedisClusterException)
"""The exceptions of a client of `client` while Redis is not reachable or refuses a command."""

MAX_CONNECTIONS = 16


def create_multiplexer(
    settings: RedisSettings, *, timeout: float = 0.02, essential: bool = False
) -> Multiplexer:
    """Return the multiplexed connection to the server, master or cluster of the settings.

    `timeout` is in seconds. With `essential` the process is not ready while Redis is not reachable. Raises
    ValueError if the address is invalid.
    """
    is_cluster = Location.of(settings).kind is Kind.CLUSTER
    kind = ClusterMultiplexer if is_cluster else Multiplexer
    return kind(settings, timeout=timeout, essential=essential)


def client(settings: RedisSettings, *, timeout: float = 5.0) -> redis.asyncio.Redis:
    """Return a redis-py client whose commands time out after `timeout` seconds; ValueError as above."""
    location = Location.of(settings)
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": min(timeout, 2.0),
        "max_connections": MAX_CONNECTIONS,
    }
    match location.kind:
        case Kind.SENTINEL:
            master: redis.asyncio.Redis = sentinels(location, min(timeout, 1.0)).master_for(
                location.master, **options
            )
            return master
        case Kind.CLUSTER:
            options |= {"username": location.username, "password": location.password, **location.tls_keywords}
            # It has the methods of redis-py's other client, except for commands with keys of several slots.
            nodes = [ClusterNode(*host) for host in location.hosts]
            return RedisCluster(startup_nodes=nodes, **options)  # type: ignore[return-value]
        case _:
            if location.tls:
                options["ssl_ca_certs"] = location.tls.ca_file
            return redis.asyncio.from_url(settings.redis_url, **options)
