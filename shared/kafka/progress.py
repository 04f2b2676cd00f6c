"""The progress of a consumer in each partition: the only source of the offsets that it commits.

See docs/decisions/0005-kafka-consumption.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.kafka.records import Received


class Progress:
    """Tracks the records of one topic from the poll that returns them until they are finished.

    `receive` is called for every poll before its records are used, so that the offset to commit is never
    after a record that was polled but neither handled nor dead-lettered, whatever happens to the poll.
    """

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def receive(self, partition: int, offsets: Sequence[int]) -> None:
        """Add the offsets of one poll, in ascending order, as unfinished."""
        if offsets:
            self._partitions.setdefault(partition, _Partition()).receive(offsets)

    def finish(self, records: Iterable[Received]) -> None:
        """Mark records as handled or dead-lettered; records of a partition that was revoked are ignored."""
        partitions = self._partitions
        for record in records:
            if (partition := partitions.get(record.partition)) is not None:
                partition.unfinished.pop(record.offset, None)

    def uncommitted(self) -> dict[int, int]:
        """Return partition → offset of its first unfinished record, where that is not committed yet."""
        positions = {number: partition.position for number, partition in self._partitions.items()}
        return {
            number: position
            for number, position in positions.items()
            if position != self._partitions[number].committed
        }

    def committed(self, positions: dict[int, int]) -> None:
        """Remember partition → offset as committed."""
        for number, position in positions.items():
            if (partition := self._partitions.get(number)) is not None:
                partition.committed = position

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop partitions that were revoked: their new owner commits for them."""
        for number in partitions:
            self._partitions.pop(number, None)


class _Partition:
    """One partition. `unfinished` is a dict for its order; its values mean nothing."""

    __slots__ = ("committed", "end", "unfinished")

    def __init__(self) -> None:
        self.unfinished: dict[int, None] = {}
        self.end = 0
        self.committed: int | None = None

    def receive(self, offsets: Sequence[int]) -> None:
        first = offsets[0]
        if self.committed is None:
            # The offset before the first record ever received is committed already.
            self.committed = first
        elif first < self.end:
            # After a reset of the position Kafka sends records again, which must be finished again.
            self.unfinished = dict.fromkeys(offset for offset in self.unfinished if offset < first)
        self.unfinished.update(dict.fromkeys(offsets))
        self.end = offsets[-1] + 1

    @property
    def position(self) -> int:
        """Return the offset of the first unfinished record, else the one after the last received."""
        return next(iter(self.unfinished), self.end)
