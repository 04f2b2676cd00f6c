"""A Redis Cluster: one multiplexed connection to each master, and commands routed by their keys.

The commands of one call may be for several nodes. A script gets keys of one slot only, so keys that belong
together have a hash tag. See docs/decisions/0029-serving.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from shared.redis import topology
from shared.redis.address import Address
from shared.redis.location import Kind, Location
from shared.redis.multiplexer import Multiplexer
from shared.redis.replies import Moved, Unavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from shared.redis.connection import Argument
    from shared.redis.location import Host
    from shared.settings import RedisSettings

REFRESH_SECONDS: Final = 15.0
"""Interval between looks at the slots while all is well; a node that moved a slot says so. Arbitrary."""

REPAIR_SECONDS: Final = 0.25
"""The same while a master is missing or has moved a slot; arbitrary."""

log = structlog.get_logger()


class ClusterMultiplexer(Multiplexer):
    """The connections to a cluster's masters, with the methods of one connection."""

    def __init__(self, settings: RedisSettings, *, timeout: float = 0.02, essential: bool = False) -> None:
        """With `essential` the process is not ready while a master is not reachable.

        Raises ValueError if the address is not that of a cluster.
        """
        location = Location.of(settings)
        if location.kind is not Kind.CLUSTER:
            message = "this is not the address of a cluster"
            raise ValueError(message)
        self._location = location
        self._tls = location.tls.context() if location.tls else None
        self._timeout = timeout
        self._essential = essential
        self._nodes: dict[Host, Multiplexer] = {}
        self._masters: frozenset[Host] = frozenset()
        self._owners: list[Multiplexer | None] = [None] * topology.SLOTS
        self._moved = asyncio.Event()
        self._refreshed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._follower: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to look for the nodes, and follow their slots until `stop`."""
        self._follower = asyncio.create_task(self._follow(), name="redis-cluster")

    async def stop(self) -> None:
        """Close all connections; waiting calls fail with `Unavailable`."""
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        for node in list(self._nodes.values()):
            await node.stop()

    @property
    def up(self) -> bool:
        """Return whether every master is reachable."""
        return bool(self._masters) and all(self._nodes[host].up for host in self._masters)

    def execute(self, *commands: Sequence[Argument]) -> asyncio.Future[list[Any]]:
        """Send each command to the node of its key, and return a future of the replies, in order.

        A command without a key goes to the node of the first key; SCRIPT goes to every master. The future
        fails as that of one server does, if one of the nodes fails.
        """
        return self._task(self._execute(commands))

    async def _execute(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        try:
            return await self._send(commands)
        except Moved as moved:
            self._moved.set()
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._send_again(commands, moved)
            except TimeoutError as error:
                raise Unavailable("the cluster is moving slots") from error

    async def _send_again(self, commands: Sequence[Sequence[Argument]], moved: Moved) -> list[Any]:
        """Send the commands once more, to the node that has the slot now; raises Unavailable."""
        if not moved.is_asking:
            self._refreshed.clear()
            await self._refreshed.wait()
            return await self._send(commands)
        target = await self._node((moved.host, moved.port))
        replies = []
        for command in commands:
            if topology.slot_of(command) == moved.slot:
                replies.append((await target.execute(("ASKING",), command))[1])
            else:
                replies.extend(await self._send([command]))
        return replies

    async def _send(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        slots = [topology.slot_of(command) for command in commands]
        home = self._owner(next((slot for slot in slots if slot is not None), None))
        groups: dict[Multiplexer, list[int]] = {}
        for position, slot in enumerate(slots):
            groups.setdefault(home if slot is None else self._owner(slot), []).append(position)
            if commands[position][0] == "SCRIPT":
                for host in self._masters:
                    if (node := self._nodes[host]) is not home:
                        groups.setdefault(node, []).append(position)
        if not all(node.up for node in groups):
            raise Unavailable("a node of the Redis cluster is not reachable")
        if len(groups) == 1:
            return await home.execute(*commands)
        replies: list[Any] = [None] * len(commands)
        calls = [
            (positions, node.execute(*(commands[position] for position in positions)))
            for node, positions in groups.items()
        ]
        results = await asyncio.gather(*(call for _, call in calls), return_exceptions=True)
        for (positions, _), result in zip(calls, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            for position, reply in zip(positions, result, strict=True):
                replies[position] = reply
        return replies

    def _owner(self, slot: int | None) -> Multiplexer:
        """Return the node of a slot, or any that is reachable; raises Unavailable without one."""
        if slot is None:
            node = next((node for host in self._masters if (node := self._nodes[host]).up), None)
        else:
            node = self._owners[slot]
        if node is None:
            raise Unavailable("no node of the Redis cluster is reachable")
        return node

    async def _follow(self) -> None:
        while True:
            try:
                await self._refresh()
            except Unavailable as error:
                log.warning("redis.cluster_away", error=str(error))
            is_whole = self.up and None not in self._owners and not self._moved.is_set()
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS if is_whole else REPAIR_SECONDS):
                    await self._moved.wait()

    async def _refresh(self) -> None:
        """Read which master serves which slots; raises Unavailable if no node answers."""
        hosts = {*self._location.hosts, *self._nodes}
        ranges_by_master = await topology.masters(self._address(host) for host in hosts)
        owners: list[Multiplexer | None] = [None] * topology.SLOTS
        for host, ranges in ranges_by_master.items():
            node = await self._node(host)
            for first, last in ranges:
                owners[first : last + 1] = [node] * (last + 1 - first)
        self._owners, self._masters = owners, frozenset(ranges_by_master)
        self._refreshed.set()
        for host in self._nodes.keys() - ranges_by_master.keys():
            self._task(self._nodes.pop(host).stop())

    async def _node(self, host: Host) -> Multiplexer:
        if host not in self._nodes:
            location = replace(self._location, kind=Kind.SERVER, hosts=(host,))
            node = self._nodes[host] = Multiplexer(location, timeout=self._timeout)
            await node.start()
        return self._nodes[host]

    def _address(self, host: Host) -> Address:
        return Address.at(host, self._location, self._tls)

    def _task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
