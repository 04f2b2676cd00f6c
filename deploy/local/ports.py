"""The ports of a stack: the documented ones, or a free block for a stack of the tests."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from deploy.local.errors import StackError

LOOPBACK = "127.0.0.1"

SERVICE_PORTS = {
    "tracker": 8001,
    "sync": 8002,
    "trainer": 8003,
    "loader": 8004,
    "recommender": 8005,
    "router": 8006,
    "engine": 8007,
    "analytics": 8008,
    "dashboard": 8010,
}
SERVICES = tuple(SERVICE_PORTS)

# The probes of a worker are on the port of its service + 100, those of a relay on + 200.
WORKER_OFFSET = 100
RELAY_OFFSET = 200
_MAX_PORT = 65_535 - RELAY_OFFSET
_MAX_LISTED_PORTS = 3

_USUAL = {
    "kafka": 19092,
    "kafka-controller": 19093,
    "kafka-objects": 19094,
    "postgres": 15432,
    "redis": 16379,
    "s3": 17070,
    "gateway": 8080,
    "gateway-metrics": 8081,
    "gateway-plain": 8082,
    "shop": 8020,
    **SERVICE_PORTS,
}

# These read their variable themselves, as the services do.
_OWN_VARIABLES = ("gateway", "gateway-metrics", "gateway-plain", "shop")

# Below the ephemeral ports (from 32768), so that no outgoing connection uses one of them.
# A block is 20 ports, and the ports 100 and 200 above them for workers and relays: five blocks fit into 300.
_FREE_BLOCKS = tuple(window + offset for window in range(20_000, 32_000, 300) for offset in range(0, 100, 20))


def variable(name: str) -> str:
    """Return the environment variable that changes a port; a service also reads its own."""
    prefix = "" if name in {*SERVICES, *_OWN_VARIABLES} else "ENDCAP_"
    return f"{prefix}{name.upper().replace('-', '_')}_PORT"


@dataclass(frozen=True)
class Ports:
    """One port for each component and service, by name."""

    by_name: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.by_name[name]

    @classmethod
    def usual(cls, environment: Mapping[str, str]) -> Ports:
        """Return the documented ports, or those in the variables (`TRACKER_PORT`, `ENDCAP_S3_PORT` …)."""
        return cls({name: _configured(name, port, environment) for name, port in _USUAL.items()})

    @classmethod
    def free(cls) -> Ports:
        """Return a block of unused ports, which stays reserved as long as this process lives.

        Raises StackError if there is none.
        """
        for base in random.sample(_FREE_BLOCKS, len(_FREE_BLOCKS)):
            ports = cls({name: base + index for index, name in enumerate(_USUAL, start=1)})
            if _reserve(base) and not list(ports.taken(ports.by_name)):
                return ports
        raise StackError("there is no block of free ports between 20000 and 32000; stop some servers")

    def taken(self, names: Iterable[str]) -> Iterator[tuple[str, int]]:
        """Yield the ports of the named components and services that another process listens on."""
        for name in names:
            for port in self._needed(name):
                if not _can_listen(port):
                    yield name, port

    def require_free(self, names: Iterable[str]) -> None:
        """Raise StackError if another process listens on ports of the named components and services."""
        names = list(names)
        if "kafka" in names:
            names += ["kafka-controller", "kafka-objects"]
        taken = [
            f"port {port} for {name} is taken; stop the process that listens there, or choose another port "
            f"with {variable(name)}=… before the command"
            for name, port in self.taken(names)
        ]
        if len(taken) > _MAX_LISTED_PORTS:
            more = len(taken) - _MAX_LISTED_PORTS
            taken[_MAX_LISTED_PORTS:] = [f"and {more} more; is the stack of another clone running?"]
        if taken:
            raise StackError("\n".join(taken))

    def _needed(self, name: str) -> tuple[int, ...]:
        port = self.by_name[name]
        if name not in SERVICES:
            return (port,)
        return (port, port + WORKER_OFFSET, port + RELAY_OFFSET)


def _configured(name: str, usual: int, environment: Mapping[str, str]) -> int:
    """Return the port in the variable, or the usual one. Raises StackError for an invalid number."""
    value = environment.get(variable(name), "")
    if not value:
        return usual
    if not value.isdecimal() or not 0 < int(value) <= _MAX_PORT:
        raise StackError(f"{variable(name)}={value} is not a port; use a number up to {_MAX_PORT}")
    return int(value)


def _reserve(base: int) -> bool:
    """Listen on the first port of a block, which no stack uses, so that two test runs get different blocks.

    Without it, the block would look free to others until its servers are started.
    """
    reservation = socket.socket()
    try:
        reservation.bind((LOOPBACK, base))
        reservation.listen()
    except OSError:
        reservation.close()
        return False
    reservation.detach()  # the socket is closed when the process ends
    return True


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        # All servers here use it too: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def is_open(port: int) -> bool:
    """Return whether a server accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
