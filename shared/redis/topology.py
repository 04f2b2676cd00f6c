"""Slots of a Redis Cluster: which node serves a key, and how the nodes are found."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from shared.redis.address import Address
from shared.redis.connection import Connection
from shared.redis.replies import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shared.redis.connection import Argument
    from shared.redis.location import Host

SLOTS: Final = REDIS_CLUSTER_HASH_SLOTS

ASK_SECONDS: Final = 1.0
"""Time that one node may take to say which node serves which slot; arbitrary."""

_WITHOUT_KEY: Final = frozenset({"PING", "TIME", "INFO", "SCRIPT", "ECHO", "CONFIG", "FLUSHALL"})
_WITH_NUMBER_OF_KEYS: Final = frozenset({"EVAL", "EVALSHA"})
_WITH_SUBCOMMAND: Final = frozenset({"MEMORY", "OBJECT"})


def slot_of(command: Sequence[Argument]) -> int | None:
    """Return the slot of a command's first key; None for a command without one."""
    name = command[0]
    if isinstance(name, bytes):
        name = name.decode()
    if name in _WITHOUT_KEY:
        return None
    position = 1
    if name in _WITH_NUMBER_OF_KEYS:
        position = 3 if int(command[2]) else 0
    elif name in _WITH_SUBCOMMAND:
        position = 2
    if not position:
        return None
    key = command[position]
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


async def masters(nodes: Iterable[Address]) -> dict[Host, list[tuple[int, int]]]:
    """Return the ranges of slots of each master, inclusive, as the first node that answers knows them.

    Nodes are asked in random order; raises Unavailable if none answers.
    """
    errors: list[str] = []
    candidates = list(nodes)
    random.shuffle(candidates)
    for address in candidates:
        connection = Connection(ASK_SECONDS, _ignore)
        try:
            await address.open(connection, ASK_SECONDS)
            ((*ranges,),) = await connection.send([("CLUSTER", "SLOTS")], timeout=ASK_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this node, another may know
            errors.append(f"{address}: {error!r}")
        else:
            if ranges:
                return _by_master(ranges, address)
            errors.append(f"{address}: it knows no slots")
        finally:
            connection.close()
    raise Unavailable(f"no node of the cluster answers: {'; '.join(errors)}")


def _by_master(ranges: Iterable[Sequence[Any]], node: Address) -> dict[Host, list[tuple[int, int]]]:
    slots: dict[Host, list[tuple[int, int]]] = {}
    for first, last, (host, port, *_), *_replicas in ranges:
        # A node that does not know its own address leaves the host empty.
        name = host.decode() if host else node.host
        slots.setdefault((name, port), []).append((first, last))
    return slots


def _ignore(_connection: Connection, _closed: bool) -> None:  # noqa: FBT001 - as the breaker of a connection
    """Do nothing: this connection has no breaker."""
