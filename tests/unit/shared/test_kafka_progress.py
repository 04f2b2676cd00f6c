"""No offset beyond the first unfinished record of a partition can be committed, whatever happens to polls."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.kafka.progress import Progress

PARTITIONS = (0, 1)


def record(partition: int, offset: int) -> Any:
    return SimpleNamespace(partition=partition, offset=offset)


def test_the_offset_to_commit_is_that_of_the_first_unfinished_record() -> None:
    progress = Progress()
    progress.receive(0, [5, 6, 7])
    progress.receive(1, [40])
    assert progress.uncommitted() == {}, "what lies before them is committed"

    progress.finish([record(0, 6), record(0, 7)])
    assert progress.uncommitted() == {}

    progress.finish([record(0, 5)])
    assert progress.uncommitted() == {0: 8}

    progress.committed({0: 8})
    assert progress.uncommitted() == {}


def test_a_poll_that_was_dropped_holds_back_what_comes_after_it() -> None:
    progress = Progress()
    progress.receive(0, [0, 1])
    progress.receive(0, [2, 3])
    progress.finish([record(0, 2), record(0, 3)])

    assert progress.uncommitted() == {}


def test_gaps_between_offsets_are_passed_over() -> None:
    """Compaction and transactions leave them."""
    progress = Progress()
    progress.receive(0, [3, 9, 20])
    progress.finish([record(0, 3)])
    assert progress.uncommitted() == {0: 9}

    progress.finish([record(0, 9), record(0, 20)])
    assert progress.uncommitted() == {0: 21}


def test_records_that_kafka_sends_again_are_to_be_finished_again() -> None:
    progress = Progress()
    progress.receive(0, [0, 1, 2])
    progress.finish([record(0, 0), record(0, 1), record(0, 2)])
    progress.committed({0: 3})
    progress.receive(0, [1, 2, 3])

    progress.finish([record(0, 3)])
    assert progress.uncommitted() == {0: 1}


def test_a_revoked_partition_is_its_new_owners() -> None:
    progress = Progress()
    progress.receive(0, [0, 1])
    progress.receive(1, [0])
    progress.forget([0])
    progress.finish([record(0, 0), record(0, 1), record(1, 0)])

    assert progress.uncommitted() == {1: 1}


class Consuming(RuleBasedStateMachine):
    """Polls, handlers, commits, resets and rebalances in any order, on the records that a partition has."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress()
        self.next_poll = dict.fromkeys(PARTITIONS, 0)
        self.committed: dict[int, int] = {}
        self.unfinished: dict[int, set[int]] = {partition: set() for partition in PARTITIONS}

    @rule(partition=st.sampled_from(PARTITIONS), count=st.integers(1, 4), gap=st.integers(1, 3))
    def poll(self, partition: int, count: int, gap: int) -> None:
        begin = self.next_poll[partition]
        offsets = [begin + gap * step for step in range(count)]
        self.progress.receive(partition, offsets)
        self.committed.setdefault(partition, begin)
        self.unfinished[partition] |= set(offsets)
        self.next_poll[partition] = offsets[-1] + 1

    @rule(partition=st.sampled_from(PARTITIONS), data=st.data())
    def finish(self, partition: int, data: st.DataObject) -> None:
        if unfinished := self.unfinished[partition]:
            offset = data.draw(st.sampled_from(sorted(unfinished)))
            self.progress.finish([record(partition, offset)])
            unfinished.discard(offset)

    @rule()
    def commit(self) -> None:
        self.committed |= self.progress.uncommitted()
        self.progress.committed(self.progress.uncommitted())

    @rule(partition=st.sampled_from(PARTITIONS), offset=st.integers(0, 40))
    def reset_position(self, partition: int, offset: int) -> None:
        self.next_poll[partition] = min(offset, self.next_poll[partition])
        # What lies behind the position comes again.
        self.unfinished[partition] = {
            unfinished for unfinished in self.unfinished[partition] if unfinished < self.next_poll[partition]
        }

    @rule(partition=st.sampled_from(PARTITIONS))
    def revoke(self, partition: int) -> None:
        self.progress.forget([partition])
        self.unfinished[partition].clear()
        self.committed.pop(partition, None)

    @invariant()
    def no_unfinished_record_is_committed(self) -> None:
        for partition, position in self.progress.uncommitted().items():
            if self.unfinished[partition]:
                assert position <= min(self.unfinished[partition])

    def teardown(self) -> None:
        """Once everything is finished, everything is committed."""
        for partition in PARTITIONS:
            self.poll(partition, 1, 1)
            self.progress.finish([record(partition, offset) for offset in self.unfinished[partition]])
            position = self.progress.uncommitted().get(partition, self.committed.get(partition))
            assert position == self.next_poll[partition]


TestConsuming = Consuming.TestCase
TestConsuming.settings = settings(max_examples=40, stateful_step_count=30)
