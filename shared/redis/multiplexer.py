"""One connection for all requests of a process, with a circuit breaker.

Commands of all callers are written together, once per iteration of the event loop; replies come in the order
of the commands. A caller waits at most `timeout`. While Redis is down or frozen the breaker is open: calls
fail at once until Redis has answered a probe in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import structlog

from shared.redis.connection import Connection
from shared.redis.location import Kind, Location
from shared.redis.replies import Unavailable
from shared.redis.sentinel import Locator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.redis.address import Address
    from shared.redis.connection import Argument
    from shared.settings import RedisSettings

CONNECT_SECONDS = 1.0
FIRST_BACKOFF_SECONDS = 0.05
LAST_BACKOFF_SECONDS = 2.0
"""Pauses between attempts to connect double from the first to this one; arbitrary."""

RECHECK_SECONDS = 2.0
"""Interval at which sentinels are asked whether the master is still the same; arbitrary."""

log = structlog.get_logger()


class Multiplexer:
    """A Redis connection that many callers share, as a part of a process.

    `timeout` is in seconds and measured to within a quarter of itself.
    """

    name = "redis"

    def __init__(
        self, settings: RedisSettings | Location, *, timeout: float = 0.02, essential: bool = False
    ) -> None:
        """With `essential` the process is not ready while Redis is not reachable.

        Raises ValueError if the address is invalid, or that of a cluster: see `create_multiplexer`.
        """
        location = settings if isinstance(settings, Location) else Location.of(settings)
        if location.kind is Kind.CLUSTER:
            message = "a cluster needs a ClusterMultiplexer"
            raise ValueError(message)
        self._locator = Locator(location)
        self._timeout = timeout
        self._essential = essential
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._open = False
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start connecting, and reconnect until `stop`."""
        self._loop = asyncio.get_running_loop()
        self._keeper = self._loop.create_task(self._keep_connected(), name="redis-multiplexer")

    async def stop(self) -> None:
        """Close the connection; waiting calls fail with `Unavailable`."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        await self._locator.close()

    def alive(self) -> str | None:
        """Return None: the connection is replaced without a restart."""
        return None

    def ready(self) -> str | None:
        """Return why requests should go elsewhere: Redis is essential and does not answer; else None."""
        return None if self.up or not self._essential else "Redis does not answer"

    @property
    def up(self) -> bool:
        """Return whether the breaker is closed, so that a call would be sent."""
        return self._open

    def execute(self, *commands: Sequence[Argument]) -> asyncio.Future[list[Any]]:
        """Send the commands as one pipeline and return a future of their replies, in order.

        Raises `Unavailable` while the breaker is open. The future fails with `Unavailable` if the replies
        take longer than `timeout` or the connection is lost, and with `CommandRefused` if Redis answers any
        of the commands with an error.
        """
        connection = self._connection
        if connection is None or not self._open:
            raise Unavailable("Redis is not reachable")
        return connection.send(commands)

    async def _keep_connected(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            connection, address = Connection(self._timeout, self._breaker), None
            try:
                address = await self._locator.find()
                await address.open(connection, CONNECT_SECONDS)
            except (OSError, TimeoutError, Unavailable) as error:
                connection.close()
                log.warning("redis.away", address=str(address), error=repr(error))
            else:
                backoff = FIRST_BACKOFF_SECONDS
                self._connection, self._open = connection, True
                log.info("redis.connected", address=str(address))
                try:
                    await self._until_lost(connection, address)
                finally:
                    self._connection, self._open = None, False
                    connection.close()
                log.warning("redis.connection_lost", address=str(address))
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnects
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)

    async def _until_lost(self, connection: Connection, address: Address) -> None:
        """Return when the connection is lost, or when sentinels name another master."""
        if not self._locator.may_change:
            await connection.lost()
            return
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECHECK_SECONDS):
                    await connection.lost()
                    return
            with contextlib.suppress(Unavailable):  # without sentinels the master stays
                if await self._locator.find() != address:
                    return

    def _breaker(self, connection: Connection, closed: bool) -> None:  # noqa: FBT001 - a state
        if self._connection is connection and self._open is not closed:
            self._open = closed
            log.warning("redis.called_again" if closed else "redis.not_called")
