"""The ports of a stack: the usual ones, or a free block for a stack of the tests."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from deploy.local.failure import StackError

LOOPBACK = "127.0.0.1"

SERVICES = ("tracker", "sync", "trainer", "loader", "recommender", "router", "engine")

# A worker answers its probes 100 above its service's port, a relay 200 above.
WORKER_OFFSET = 100
RELAY_OFFSET = 200

_USUAL = {
    "kafka": 19092,
    "kafka-controller": 19093,
    "kafka-objects": 19094,
    "postgres": 15432,
    "redis": 16379,
    "s3": 17070,
    **{service: 8001 + position for position, service in enumerate(SERVICES)},
}

# Below the ephemeral ports (32768 and up), so that no outgoing connection takes one meanwhile.
# A block is 20 ports, and the same again 100 and 200 above for workers and relays: five fit into 300.
_FREE_BLOCKS = tuple(window + offset for window in range(20_000, 32_000, 300) for offset in range(0, 100, 20))


def variable(name: str) -> str:
    """The environment variable that moves a port; a service reads its own one as well."""
    prefix = "" if name in SERVICES else "ENDCAP_"
    return f"{prefix}{name.upper().replace('-', '_')}_PORT"


@dataclass(frozen=True)
class Ports:
    """One port for each component and service, by name."""

    by_name: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.by_name[name]

    @classmethod
    def usual(cls, environment: Mapping[str, str]) -> Ports:
        """The documented ports, each moved by its variable (`TRACKER_PORT`, `ENDCAP_S3_PORT` …)."""
        return cls({name: _moved(name, port, environment) for name, port in _USUAL.items()})

    @classmethod
    def free(cls) -> Ports:
        """A block of ports that nobody listens on, kept from others as long as this process lives."""
        for base in random.sample(_FREE_BLOCKS, len(_FREE_BLOCKS)):
            ports = cls({name: base + place for place, name in enumerate(_USUAL, start=1)})
            if _reserve(base) and not list(ports.taken(ports.by_name)):
                return ports
        raise StackError("no block of free ports between 20000 and 32000; end what listens there")

    def taken(self, names: Iterable[str]) -> Iterator[tuple[str, int]]:
        """Each port that the named parts need and somebody else listens on."""
        for name in names:
            for port in self._needed(name):
                if not _can_listen(port):
                    yield name, port

    def _needed(self, name: str) -> tuple[int, ...]:
        port = self.by_name[name]
        if name not in SERVICES:
            return (port,)
        return (port, port + WORKER_OFFSET, port + RELAY_OFFSET)


def _moved(name: str, usual: int, environment: Mapping[str, str]) -> int:
    value = environment.get(variable(name), "")
    if not value:
        return usual
    if not value.isdecimal() or not 0 < int(value) < 65_336:
        raise StackError(f"{variable(name)}={value} is not a port; give a number below 65336")
    return int(value)


def _reserve(base: int) -> bool:
    """Listen on the block's first port, which no stack uses: two test runs never get the same block.

    Between the choice of a block and the start of what listens there, it would look free to others.
    """
    reservation = socket.socket()
    try:
        reservation.bind((LOOPBACK, base))
        reservation.listen()
    except OSError:
        reservation.close()
        return False
    reservation.detach()  # the process ends it
    return True


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        # As every server here does: a port in TIME_WAIT is not taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def is_open(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
