"""A view of the engine's, read when somebody asks for a name that no event has told of yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncpg import Record

    from services.recommender.store.lists import Guarded

VIEW_SECONDS = 0.5
"""How often an unknown name may have the view read."""

Name = tuple[str, str]
"""A tenant, and the name of what is its own."""


class View:
    """Rows by tenant and name; one reading is for all who asked before it began."""

    def __init__(
        self,
        database: Guarded,
        query: Callable[[], tuple[Any, ...]],
        known: Container[Name],
        take: Callable[[Record], None],
    ) -> None:
        """`take` gets the rows that are not `known`."""
        self._database = database
        self._query = query
        self._known = known
        self._take = take
        # What went while the view was read: its rows may still tell of it.
        self._gone: set[Name] = set()
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")

    def went(self, name: Name) -> None:
        """Hear of an event that outdates whatever is just being read."""
        self._gone.add(name)

    async def read(self) -> None:
        """Read it once more, unless somebody else just did."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with self._reading:
            if self._read_at > asked_at:
                return
            await asyncio.sleep(max(0.0, self._read_at + VIEW_SECONDS - loop.time()))
            self._read_at = loop.time()
            self._gone.clear()
            for row in await self._database.fetch(*self._query()) or ():
                name = row["tenant"], row["name"]
                if name not in self._known and name not in self._gone:
                    self._take(row)
