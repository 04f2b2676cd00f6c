"""Publishing: events in, acknowledged records out."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from shared.kafka.producer import Producer
from shared.kafka.records import Record, encoded
from shared.observability import counter, histogram, tracing

if TYPE_CHECKING:
    from shared.events import Event
    from shared.events.topics import Topic
    from shared.settings import KafkaSettings

PUBLISHED = counter("endcap_kafka_published_total", "Records that Kafka has acknowledged.", ["topic"])
FAILED = counter("endcap_kafka_publish_failures_total", "Calls that Kafka did not confirm.", ["topic"])
SECONDS = histogram("endcap_kafka_publish_seconds", "From the call to the last ack.", ["topic"])


class Publisher:
    """Publishes the events of one service. A part: it lives as long as its process."""

    name = "kafka-publisher"

    def __init__(
        self,
        settings: KafkaSettings,
        service: str,
        topics: Sequence[Topic],
        *,
        essential: bool = True,
    ) -> None:
        """Publish to `topics`, of which the registry must say that `service` produces them.

        `essential=False` keeps the process ready while Kafka is away.
        """
        for topic in topics:
            if service not in topic.producers:
                message = f"the registry of topics doesn't list {service} as producer of {topic.name}"
                raise ValueError(message)
        self.topics = frozenset(topics)
        self._service = service
        self._essential = essential
        self._producer = Producer(settings, service)
        self._measures = {
            topic.name: (
                PUBLISHED.labels(topic.name),
                FAILED.labels(topic.name),
                SECONDS.labels(topic.name),
            )
            for topic in topics
        }

    @property
    def up(self) -> bool:
        """Whether Kafka took what was sent last, or answers."""
        return self._producer.up

    async def start(self) -> None:
        """Begin to connect."""
        self._producer.start()

    async def stop(self) -> None:
        """Close, whatever Kafka does, within a few seconds."""
        await self._producer.stop()

    def alive(self) -> str | None:
        """A broken producer is replaced; what can't be made at all needs other settings."""
        return self._producer.failure()

    def ready(self) -> str | None:
        """Not ready while Kafka is away, if the service can't do without."""
        return None if self.up or not self._essential else "Kafka is not reachable"

    async def publish(self, topic: Topic, events: Sequence[Event], *, within: float = 2.0) -> None:
        """Return when Kafka has acknowledged every event; each lands on its key's partition.

        Raises Transient when Kafka is away or `within` seconds are over: the events may be there, not
        be there, or appear later, so that the caller sends them again under the same ids. Raises
        Permanent when an event is too large.
        """
        for event in events:
            if type(event) not in topic.events:
                message = f"{topic.name} takes no {type(event).__name__}"
                raise TypeError(message)
        traceparent = tracing.traceparent()
        records = [encoded(event, self._service, traceparent) for event in events]
        await self.publish_raw(topic.name, records, within=within)

    async def publish_raw(self, topic_name: str, records: Sequence[Record], *, within: float = 2.0) -> None:
        """Publish records as they are; a record without a value is a tombstone."""
        measures = self._measures.get(topic_name)
        if measures is None:
            message = f"{self._service}'s publisher wasn't made for topic {topic_name}"
            raise ValueError(message)
        published, failed, seconds = measures
        began = perf_counter()
        try:
            await self._producer.deliver(topic_name, records, within)
        except BaseException:
            failed.inc()
            raise
        published.inc(len(records))
        seconds.observe(perf_counter() - began)
