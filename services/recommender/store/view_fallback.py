"""A view of the engine, read when a request names something that no event has announced yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncpg import Record

    from services.recommender.store.guarded_database import GuardedDatabase

MIN_READ_INTERVAL_SECONDS = 0.5
"""Unknown names cause at most one read per interval."""

Name = tuple[str, str]
"""A tenant, and the name of one of its resources."""


class ViewFallback:
    """Rows by tenant and name; one read serves all requests that were waiting when it began."""

    def __init__(
        self,
        database: GuardedDatabase,
        query: Callable[[], tuple[Any, ...]],
        known: Container[Name],
        add: Callable[[Record], None],
    ) -> None:
        """Call `add` with each row whose name is not in `known`."""
        self._database = database
        self._query = query
        self._known = known
        self._add = add
        # Deleted while the view was being read: its rows may still contain them.
        self._deleted: set[Name] = set()
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")

    def deleted(self, name: Name) -> None:
        """Ignore this name in the rows of a read in progress."""
        self._deleted.add(name)

    async def read(self) -> None:
        """Read the view, unless it was read since this call began."""
        loop = asyncio.get_running_loop()
        requested_at = loop.time()
        async with self._reading:
            if self._read_at > requested_at:
                return
            await asyncio.sleep(max(0.0, self._read_at + MIN_READ_INTERVAL_SECONDS - loop.time()))
            self._read_at = loop.time()
            self._deleted.clear()
            for row in await self._database.fetch(*self._query()) or ():
                name = row["tenant"], row["name"]
                if name not in self._known and name not in self._deleted:
                    self._add(row)
