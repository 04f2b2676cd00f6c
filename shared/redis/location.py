"""The location of Redis: the URL of a server, of a sentinel's master, or of a cluster, and its TLS settings.

redis://user:password@host:port/db                  a server; rediss:// with TLS, unix://path a socket
redis+sentinel://user:password@host:port,…/master/db  the master that sentinels name; rediss+sentinel://
redis+cluster://user:password@host:port,…           the nodes of a cluster; rediss+cluster://
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from redis.connection import SSLConnection, parse_url

from shared.masking import masked

if TYPE_CHECKING:
    from shared.settings import RedisSettings

Host = tuple[str, int]


class Kind(Enum):
    """The kind of servers that a URL names."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_PORTS: Final = {Kind.SENTINEL: 26379, Kind.CLUSTER: 6379}
_TLS_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS settings of connections to Redis; without a CA file the system's authorities apply."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    is_verified: bool = True

    @classmethod
    def of(cls, options: dict[str, Any], ca_file: str | None) -> Self:
        """Return the settings of a URL's parameters, which are redis-py's; `ca_file` is the default."""
        return cls(
            options.get("ssl_ca_certs") or ca_file,
            options.get("ssl_certfile"),
            options.get("ssl_keyfile"),
            options.get("ssl_cert_reqs") != "none",
        )

    def context(self) -> ssl.SSLContext:
        """Return the context of a connection; raises OSError if a file can't be read."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        if not self.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def keywords(self) -> dict[str, Any]:
        """Return the arguments of redis-py's clients."""
        return {
            "ssl_ca_certs": self.ca_file,
            "ssl_certfile": self.certificate_file,
            "ssl_keyfile": self.key_file,
            "ssl_cert_reqs": "required" if self.is_verified else "none",
            "ssl_check_hostname": self.is_verified,
        }


@dataclass(frozen=True, slots=True)
class Location:
    """A parsed URL; credentials are not in the repr."""

    kind: Kind
    hosts: tuple[Host, ...]
    path: str | None = None
    database: int = 0
    master: str = ""
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    tls: Tls | None = None

    @classmethod
    def of(cls, settings: RedisSettings) -> Self:
        """Parse the URL of the settings; ValueError, without the password, if it is invalid."""
        url, ca_file = settings.redis_url, settings.redis_ca_file
        scheme = urlsplit(url).scheme
        try:
            if scheme.partition("+")[2] in {"sentinel", "cluster"}:
                return cls._of_several(url, ca_file)
            return cls._of_server(url, ca_file)
        except ValueError as error:
            message = f"REDIS_URL={masked(url)} is not an address of Redis: {masked(str(error))}"
            raise ValueError(message) from None

    @classmethod
    def _of_server(cls, url: str, ca_file: str | None) -> Self:
        options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
        is_tls = options.get("connection_class") is SSLConnection
        return cls(
            Kind.SERVER,
            ((options.get("host", "localhost"), int(options.get("port", 6379))),),
            path=options.get("path"),
            database=int(options.get("db", 0)),
            username=options.get("username"),
            password=options.get("password"),
            tls=Tls.of(options, ca_file) if is_tls else None,
        )

    @classmethod
    def _of_several(cls, url: str, ca_file: str | None) -> Self:
        parts = urlsplit(url)
        transport, _, kind_name = parts.scheme.partition("+")
        if transport not in {"redis", "rediss"}:
            message = f"the scheme {parts.scheme} is unknown"
            raise ValueError(message)
        kind = Kind(kind_name)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        known = {*_TLS_OPTIONS, "sentinel_username", "sentinel_password"}
        if unknown := sorted(options.keys() - known):
            message = f"the parameter {unknown[0]} is unknown; known are {', '.join(sorted(known))}"
            raise ValueError(message)
        login, _, hosts = parts.netloc.rpartition("@")
        username, _, password = (unquote(part) for part in login.partition(":"))
        master, database = _master(kind, unquote(parts.path))
        return cls(
            kind,
            tuple(_host(host, _PORTS[kind]) for host in hosts.split(",")),
            database=database,
            master=master,
            username=username or None,
            password=password or None,
            sentinel_username=options.get("sentinel_username"),
            sentinel_password=options.get("sentinel_password"),
            tls=Tls.of(options, ca_file) if transport == "rediss" else None,
        )

    @property
    def credentials(self) -> tuple[str, ...]:
        """Return the arguments of AUTH; none without a password."""
        return tuple(part for part in (self.username, self.password) if part)

    @property
    def tls_keywords(self) -> dict[str, Any]:
        """Return redis-py's arguments of TLS; none without it."""
        return {"ssl": True, **self.tls.keywords()} if self.tls else {}


def _host(text: str, default_port: int) -> Host:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        message = "a host is missing"
        raise ValueError(message)
    return parts.hostname, parts.port or default_port


def _master(kind: Kind, path: str) -> tuple[str, int]:
    """Return the name of the master and the number of the database."""
    names = path.strip("/").split("/") if path.strip("/") else []
    if kind is Kind.CLUSTER:
        if names not in ([], ["0"]):
            message = "a cluster has only the database 0"
            raise ValueError(message)
        return "", 0
    if len(names) not in {1, 2} or not all(name.isdecimal() for name in names[1:]):
        message = "the name of the master is missing: redis+sentinel://host:port,host:port/master/db"
        raise ValueError(message)
    return names[0], int(names[1]) if len(names) > 1 else 0
