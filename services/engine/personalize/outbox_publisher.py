"""The events of an operation, written in its transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import outbox

if TYPE_CHECKING:
    from shared.events import Event
    from shared.events.topics import Topic
    from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
class OutboxPublisher:
    """Writes events into the outbox, in a transaction that is open."""

    connection: Connection

    async def publish(self, topic: Topic, event: Event) -> None:
        """Publish the event when the transaction commits."""
        await outbox.append(self.connection, topic, [event])

    async def publish_tombstone(self, topic: Topic, tenant: str, key: str) -> None:
        """Publish a tombstone, which deletes the key of a compacted topic."""
        await outbox.append_tombstone(self.connection, topic, tenant, key)
