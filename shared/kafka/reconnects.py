"""Pauses between attempts to connect to a node of Kafka, which aiokafka lacks.

Each loop of an aiokafka client (fetch, metadata, coordinator, heartbeat, production) connects by itself,
every `retry_backoff_ms` and twice per round. While Kafka was away, a process with several clients made sixty
attempts a second, which took 13 % of a core (measured). Java's clients have `reconnect.backoff.ms` and
`reconnect.backoff.max.ms` for this.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup

FIRST_SECONDS: Final = 0.1
MAX_SECONDS: Final = 2.0
"""Pauses double from the first to this one; arbitrary, as the pauses of `Producer` and of Redis."""


class ReconnectPauses:
    """The attempts of one client. During a pause its loops find the node not ready, without an attempt."""

    def __init__(self, client: AIOKafkaClient) -> None:
        """Take the place of the client's method that returns a connection; there is no public one."""
        self._client = client
        self._connect = client._get_conn  # noqa: SLF001
        self._failures: dict[Any, tuple[int, float]] = {}
        """By node: failed attempts in a row, and the end of the pause."""
        self._attempt = asyncio.Lock()
        client._get_conn = self.connection  # noqa: SLF001

    async def connection(
        self, node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        """Return a connection to a node as aiokafka does; None during a pause, and after a failure."""
        if node_id not in self._failures:
            return await self._attempted(node_id, group, no_hint=no_hint)
        async with self._attempt:
            open_one = self._client._conns.get((node_id, group))  # noqa: SLF001
            if open_one is not None and open_one.connected():
                return open_one
            _, until = self._failures.get(node_id, (0, 0.0))
            if asyncio.get_running_loop().time() < until:
                return None
            return await self._attempted(node_id, group, no_hint=no_hint)

    async def _attempted(self, node_id: Any, group: Any, *, no_hint: bool) -> Any:
        connection = await self._connect(node_id, group=group, no_hint=no_hint)
        if connection is not None:
            self._failures.pop(node_id, None)
        elif self._client.cluster.broker_metadata(node_id) is not None:  # otherwise there was no attempt
            attempts, _ = self._failures.get(node_id, (0, 0.0))
            pause = min(FIRST_SECONDS * 2**attempts, MAX_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311
            self._failures[node_id] = (min(attempts + 1, 16), asyncio.get_running_loop().time() + pause)
        return connection
