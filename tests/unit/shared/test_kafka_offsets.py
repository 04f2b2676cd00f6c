"""Committed offsets of a group, by what Kafka answers to the client."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)
from aiokafka.protocol.commit import OffsetFetchResponse_v3

from shared.errors import Transient
from shared.kafka.offsets import Offsets

TOPIC = "interactions-v1"


def offsets_of(monkeypatch: pytest.MonkeyPatch, answer: OffsetFetchResponse_v3) -> Offsets:
    """Return a client to which Kafka describes a topic of two partitions, and then gives this answer."""
    admin = AIOKafkaAdminClient()

    async def describe_topics(_: list[str]) -> list[dict[str, Any]]:
        return [{"error_code": 0, "partitions": [{"partition": number} for number in range(2)]}]

    async def find_coordinator(_: str) -> int:
        return 1

    async def send_request(*_: Any) -> OffsetFetchResponse_v3:
        return answer

    monkeypatch.setattr(admin, "describe_topics", describe_topics)
    monkeypatch.setattr(admin, "find_coordinator", find_coordinator)
    monkeypatch.setattr(admin, "_send_request", send_request)
    return Offsets(admin, admin)


@pytest.mark.parametrize(
    "error", [CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError]
)
async def test_without_a_coordinator_no_offset_is_known(
    error: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All records would else count as waiting, and the watchdog would end a worker that has read them."""
    client = offsets_of(monkeypatch, OffsetFetchResponse_v3(0, [], error.errno))

    with pytest.raises(Transient, match="coordinator"):
        await client.committed("tracker", TOPIC)


async def test_partitions_without_a_committed_offset_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    partitions = [(0, 7, "", 0), (1, -1, "", 0)]
    client = offsets_of(monkeypatch, OffsetFetchResponse_v3(0, [(TOPIC, partitions)], 0))

    assert await client.committed("tracker", TOPIC) == {0: 7}
