"""The address of Redis: `redis[s]://[user:password@]host:port/db` or `unix://path`, as in redis-py."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from redis.connection import SSLConnection, parse_url

from shared.redis.replies import CommandRefused, Unavailable

if TYPE_CHECKING:
    from shared.redis.multiplexer import _Connection


@dataclass(frozen=True, slots=True)
class Address:
    """One Redis database and its credentials, which are not in the repr."""

    host: str
    port: int
    path: str | None
    database: int
    credentials: tuple[str, ...] = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)

    def __str__(self) -> str:
        """Return the address without credentials."""
        return self.path or f"{self.host}:{self.port}/{self.database}"

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL, with TLS options as query parameters of redis-py; ValueError if it is invalid."""
        options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
        password = options.get("password")
        username = options.get("username")
        return cls(
            host=options.get("host", "localhost"),
            port=int(options.get("port", 6379)),
            path=options.get("path"),
            database=int(options.get("db", 0)),
            credentials=tuple(part for part in (username, password) if part),
            tls=_tls(options) if options.get("connection_class") is SSLConnection else None,
        )

    async def open(self, connection: _Connection, seconds: float) -> None:
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
            if self.database:
                commands.insert(0, ("SELECT", self.database))
            if self.credentials:
                commands.insert(0, ("AUTH", *self.credentials))
            try:
                await connection.send(commands, timeout=seconds)
            except CommandRefused as error:
                raise Unavailable(str(error)) from error


def _tls(options: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
