"""The address of one Redis server, and how a connection to it is opened."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from shared.redis.replies import CommandRefused, Unavailable

if TYPE_CHECKING:
    import ssl

    from shared.redis.connection import Connection
    from shared.redis.location import Host, Location


@dataclass(frozen=True, slots=True)
class Address:
    """One Redis database and its credentials, which are not in the repr.

    With `is_master` a server that has become a replica is left.
    """

    host: str
    port: int
    path: str | None
    database: int
    credentials: tuple[str, ...] = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)
    is_master: bool = False

    def __str__(self) -> str:
        """Return the address without credentials."""
        return self.path or f"{self.host}:{self.port}/{self.database}"

    @classmethod
    def at(
        cls, host: Host, location: Location, tls: ssl.SSLContext | None, *, is_master: bool = False
    ) -> Self:
        """Return the address of a host of this location; `tls` is the location's context."""
        path, database = location.path, location.database
        return cls(*host, path, database, location.credentials, tls, is_master)

    async def open(self, connection: Connection, seconds: float) -> None:
        """Connect, log in and select the database, within `seconds`.

        Raises TimeoutError, OSError or Unavailable if that fails.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds):
            if self.path:
                await loop.create_unix_connection(lambda: connection, self.path)
            else:
                await loop.create_connection(lambda: connection, self.host, self.port, ssl=self.tls)
            commands: list[tuple[str | int, ...]] = [("PING",)]
            if self.is_master:
                commands.append(("ROLE",))
            if self.database:
                commands.insert(0, ("SELECT", self.database))
            if self.credentials:
                commands.insert(0, ("AUTH", *self.credentials))
            try:
                replies = await connection.send(commands, timeout=seconds)
            except CommandRefused as error:
                raise Unavailable(str(error)) from error
            if self.is_master and replies[-1][0] != b"master":
                raise Unavailable(f"{self} is not the master")
