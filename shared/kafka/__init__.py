"""Kafka clients: the only importer of aiokafka and of FastStream.

    publisher = Publisher(settings.kafka, "tracker", [INTERACTIONS])
    await publisher.publish(INTERACTIONS, events)           # returns when all are acknowledged

    consumer = Consumer(settings.kafka, "tracker")
    consumer.subscribe(INTERACTIONS, handlers.interactions_recorded)

    caches = StateTable(settings.kafka, CACHES)             # caches.states: key → newest event

    reader = RecordReader(settings.kafka, "recommender", SERVINGS)
    await reader.since(partition, milliseconds, visit, within=3.0)

    letters = DeadLetterReader(settings.kafka, "engine")    # dead letters of every service
    await letters.newest(topics, is_wanted, limit, within=5.0)

    python -m shared.kafka topics                           # create the topics of the registry
    python -m shared.kafka replay orders-v1-tracker-dlq     # publish dead letters again

Messages are delivered at least once and in order per key; see docs/decisions/0003-delivery
and docs/decisions/0004-kafka-clients. FastStream declares the wiring and runs the poll loop; `adapter` holds
what is overridden so that no record is lost.

Metrics and traces are made here, because the middlewares of FastStream 0.7.8 can't replace them without loss.
Its PrometheusMiddleware labels with the topic alone, so two groups of a service on one topic share their
figures; it counts once per poll, after all retries; with AckPolicy.MANUAL it counts every record as acked,
dead-lettered ones included; its publishing metrics need `broker.publish`, which hazards 5 and 7 forbid; and
its metric names are fixed, while those in docs/operations.md must stay. Its TelemetryMiddleware opens one
span per poll, which stays open while a dependency is down, whereas a span here is one call of a handler; and
it needs the headers of every record decoded, which fails on foreign ones
(test_foreign_headers_break_nothing).
"""

from shared.kafka.consumer import Consumer
from shared.kafka.dead_letter_reader import DeadLetter, DeadLetterReader, Place, dead_letter_topics
from shared.kafka.offsets import committed, committed_up_to_end, end_offsets, missing
from shared.kafka.producer import Producer
from shared.kafka.publisher import Publisher
from shared.kafka.record_reader import RecordReader
from shared.kafka.records import Positioned, Record, Tombstone, Undecodable, encoded
from shared.kafka.states import StateTable

__all__ = [
    "Consumer",
    "DeadLetter",
    "DeadLetterReader",
    "Place",
    "Positioned",
    "Producer",
    "Publisher",
    "Record",
    "RecordReader",
    "StateTable",
    "Tombstone",
    "Undecodable",
    "committed",
    "committed_up_to_end",
    "dead_letter_topics",
    "encoded",
    "end_offsets",
    "missing",
]
