"""Notices of new rows, by LISTEN over one connection of the process.

A notice only makes a reader faster: a connection may be lost, and a pooler may ignore LISTEN. So a reader
also polls every few seconds, and more often while this connection is lost. See docs/decisions/0008-outbox.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from shared.observability import gauge

if TYPE_CHECKING:
    from typing import TypeAlias

    Listening: TypeAlias = asyncpg.Connection[asyncpg.Record]

PROBE_SECONDS = 30.0
"""Interval between probes of the connection, which bounds how long a silent loss lasts; arbitrary."""

ANSWER_SECONDS = 5.0
"""Time that Postgres may take to answer a probe or LISTEN; arbitrary."""
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 5.0

CONNECTED = gauge(
    "endcap_postgres_notices_connected", "1 while the process receives notices of new rows.", ["schema"]
)

log = structlog.get_logger()


class Notice:
    """Notifies one reader that a table may have new rows."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._given = asyncio.Event()

    @property
    def heard(self) -> bool:
        """Return whether notices are received now; otherwise a reader must poll often."""
        return self._notices.connected

    def give(self) -> None:
        """Notify: `wait` returns at once, now or on its next call."""
        self._given.set()

    def clear(self) -> None:
        """Reset the notices so far. A reader calls it before it reads, so that it misses none."""
        self._given.clear()

    async def wait(self, seconds: float) -> None:
        """Return at the first notice since `clear`, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._given.wait()


class Notices:
    """Listens on the channel of a schema, whose payloads are names of tables, once there is a reader.

    When the connection is made or lost, every reader is notified, since it may have missed a notice.
    """

    def __init__(self, connect: Callable[[], Awaitable[Listening]], schema: str) -> None:
        """`connect` returns a connection that nothing else uses."""
        self._connect = connect
        self._schema = schema
        self._readers: dict[str, list[Notice]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self.connected = False

    def of(self, table: str) -> Notice:
        """Return the notices of a table for a new reader, and start listening."""
        notice = Notice(self)
        self._readers.setdefault(table, []).append(notice)
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_listening(), name=f"notices-{self._schema}")
        return notice

    async def stop(self) -> None:
        """Close the connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def _keep_listening(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._listen()
                pause = FIRST_PAUSE_SECONDS
                log.warning("postgres.notices_lost", schema=self._schema)
            except (
                OSError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
            ) as error:
                log.warning(
                    "postgres.notices_wait", schema=self._schema, error=repr(error), retry_seconds=pause
                )
            except Exception:
                log.exception("postgres.notices_failed", schema=self._schema)
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _listen(self) -> None:
        """Listen until the connection is lost."""
        connection = await self._connect()
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.add_listener(self._schema, self._hear)
            self._become(connected=True)
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_SECONDS):
                        await lost.wait()
                        break
                async with asyncio.timeout(ANSWER_SECONDS):
                    await connection.execute("SELECT 1")  # asyncpg fails on the answer to an empty query
        finally:
            connection.terminate()
            self._become(connected=False)

    def _hear(self, _connection: object, _process: int, _channel: str, table: Any) -> None:
        for notice in self._readers.get(table, ()):
            notice.give()

    def _become(self, *, connected: bool) -> None:
        self.connected = connected
        CONNECTED.labels(self._schema).set(connected)
        for notices in self._readers.values():
            for notice in notices:
                notice.give()
