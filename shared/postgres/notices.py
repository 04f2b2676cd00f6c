"""Notices of rows that others have written, by LISTEN over one connection of the process.

A notice makes a reader fast and never is what it relies on: a connection may be lost, a pooler may swallow
LISTEN. So a reader looks by itself every few seconds, and often while this connection is away. See
docs/decisions/0008-outbox.
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
"""How long a connection that was lost without a word may count as one that hears; arbitrary."""

ANSWER_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 5.0

CONNECTED = gauge("endcap_postgres_notices_connected", "1 while the process hears of new rows.", ["schema"])

log = structlog.get_logger()


class Notice:
    """Says to one reader that a table may have new rows."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._given = asyncio.Event()

    @property
    def heard(self) -> bool:
        """Whether notices come now; without them a reader has to look often."""
        return self._notices.connected

    def give(self) -> None:
        """Have `wait` return at once, now or the next time."""
        self._given.set()

    def clear(self) -> None:
        """Forget the notices so far. A reader clears before it reads, so that it misses none meanwhile."""
        self._given.clear()

    async def wait(self, seconds: float) -> None:
        """Return at the next notice since `clear`, or after these seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._given.wait()


class Notices:
    """Listens on the channel of a schema, whose payloads are names of tables, from the first reader on.

    When the connection is made, and when it is lost, every reader is given a notice: it may have missed one.
    """

    def __init__(self, connect: Callable[[], Awaitable[Listening]], schema: str) -> None:
        """`connect` makes a connection that nobody else uses."""
        self._connect = connect
        self._schema = schema
        self._readers: dict[str, list[Notice]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self.connected = False

    def of(self, table: str) -> Notice:
        """Return the notices of a table for one more reader, and begin to listen."""
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
                log.warning("postgres.notices_wait", schema=self._schema, error=repr(error), again_in=pause)
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
                    await connection.execute("")
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
