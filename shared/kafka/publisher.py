"""Publication of events, which returns when Kafka has acknowledged them."""

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
SECONDS = histogram(
    "endcap_kafka_publish_seconds", "Seconds from a call to its last acknowledgement.", ["topic"]
)


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
        """Publish to `topics`; ValueError if the registry does not list `service` as their producer.

        With `essential=False` the process stays ready while Kafka is not reachable.
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
        """Return whether the last request to Kafka succeeded."""
        return self._producer.up

    async def start(self) -> None:
        """Start connecting."""
        self._producer.start()

    async def stop(self) -> None:
        """Close within a few seconds, even if Kafka does not answer."""
        await self._producer.stop()

    def alive(self) -> str | None:
        """Return why only a restart would help: the producer can't be replaced any more; else None."""
        return self._producer.failure()

    def ready(self) -> str | None:
        """Return why requests should go elsewhere: Kafka is essential and not reachable; else None."""
        return None if self.up or not self._essential else "Kafka is not reachable"

    async def publish(self, topic: Topic, events: Sequence[Event], *, within: float = 2.0) -> None:
        """Return when Kafka has acknowledged every event; each is written to the partition of its key.

        Raises Transient if Kafka is not reachable or does not confirm within `within` seconds: the outcome is
        unknown, so the caller sends the events again with the same ids. Raises Permanent if an event is too
        large, and TypeError if the topic does not list the class of an event.
        """
        for event in events:
            if type(event) not in topic.events:
                message = f"{topic.name} does not list {type(event).__name__} as an event"
                raise TypeError(message)
        traceparent = tracing.traceparent()
        records = [encoded(event, self._service, traceparent) for event in events]
        await self.publish_raw(topic.name, records, within=within)

    async def publish_raw(self, topic_name: str, records: Sequence[Record], *, within: float = 2.0) -> None:
        """Publish records as they are; a record without a value is a tombstone.

        Raises as `publish` does, and ValueError for a topic that the publisher was not made for.
        """
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
