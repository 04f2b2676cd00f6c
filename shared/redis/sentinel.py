"""The master that Redis Sentinel names, which another server may become at any time."""

from __future__ import annotations

import redis.asyncio.sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.redis.address import Address
from shared.redis.location import Kind, Location
from shared.redis.replies import Unavailable

ANSWER_SECONDS = 0.5
"""Time that a sentinel may take to answer before the next one is asked; arbitrary."""


class Locator:
    """Finds the server to connect to: the one of the settings, or the master of now."""

    def __init__(self, location: Location) -> None:
        """Read the files of the TLS settings; raises OSError if that fails."""
        self._location = location
        self._tls = location.tls.context() if location.tls else None
        self._sentinels: redis.asyncio.sentinel.Sentinel | None = None
        if location.kind is Kind.SENTINEL:
            self._sentinels = sentinels(location, ANSWER_SECONDS)

    @property
    def may_change(self) -> bool:
        """Return whether sentinels may name another server."""
        return self._sentinels is not None

    async def find(self) -> Address:
        """Return the address of the server; raises Unavailable if no sentinel knows a master."""
        if self._sentinels is None:
            return Address.at(self._location.hosts[0], self._location, self._tls)
        try:
            host, port = await self._sentinels.discover_master(self._location.master)
        except (RedisError, OSError) as error:
            raise Unavailable(f"the sentinels name no master: {error}") from error
        return Address.at((str(host), int(port)), self._location, self._tls, is_master=True)

    async def close(self) -> None:
        """Close the connections to sentinels."""
        for sentinel in self._sentinels.sentinels if self._sentinels else ():
            await sentinel.aclose()


def sentinels(location: Location, timeout: float) -> redis.asyncio.sentinel.Sentinel:
    """Return redis-py's client of the sentinels, whose calls time out after `timeout` seconds."""
    return redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        list(location.hosts),
        sentinel_kwargs={
            "username": location.sentinel_username,
            "password": location.sentinel_password,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            # redis-py's default waits for seconds before it asks the next sentinel.
            "retry": Retry(NoBackoff(), 0),
            **location.tls_keywords,
        },
        db=location.database,
        username=location.username,
        password=location.password,
        **location.tls_keywords,
    )
