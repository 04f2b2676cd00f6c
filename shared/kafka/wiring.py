"""The wiring as FastStream declares it: subscribers that run, and publishers for the AsyncAPI documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.kafka.adapter import SPECIFICATION_URL, ForgetRevoked, Records, raw_records

if TYPE_CHECKING:
    from shared.events.topics import Topic
    from shared.kafka.progress import Progress

Receive = Callable[[Records], Awaitable[None]]

_SLEEP_MS: Final = 5  # FastStream sleeps as long after an empty poll, which has waited already


def declare_subscriber(
    broker: KafkaBroker,
    topic: Topic,
    receive: Receive,
    *,
    group: str | None,
    batch: int,
    parser: Callable[[Records], Awaitable[KafkaMessage]],
    progress: Progress | None,
) -> None:
    """Declare that `receive` gets the records of each poll of `topic`, at most `batch`, as raw bytes.

    Without `group` every partition is read. `progress` forgets partitions that a rebalance revokes.
    """
    subscriber = broker.subscriber(
        topic.name,
        group_id=group,
        batch=True,
        max_records=batch,
        batch_timeout_ms=_SLEEP_MS,
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest",
        listener=None if progress is None else ForgetRevoked(progress),
        parser=parser,
        decoder=raw_records,
        title=f"{topic.name}:{group or 'states'}",
        description=topic.description,
    )

    async def handler(records: Any) -> None:
        await receive(records)

    # AsyncAPI shows this type; FastStream does not parse arguments with apply_types=False.
    handler.__annotations__ = {"records": reduce(or_, topic.events)}
    subscriber(handler)


def declared_publishers(topics: Iterable[Topic]) -> KafkaBroker:
    """Return a broker that declares the topics to which a service publishes, for its AsyncAPI document.

    It never connects: `Producer` writes, because of hazards 5, 7 and 9.
    """
    broker = KafkaBroker(specification_url=SPECIFICATION_URL, logger=None)
    for topic in sorted(topics, key=lambda topic: topic.name):
        broker.publisher(topic.name, schema=reduce(or_, topic.events), description=topic.description)
    return broker
