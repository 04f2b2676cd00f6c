"""Kafka, wrapped once: the only importer of aiokafka and of FastStream's Kafka parts.

    publisher = Publisher(settings.kafka, "tracker", [INTERACTIONS])
    await publisher.publish(INTERACTIONS, events)           # returns when all are acknowledged

    consumer = Consumer(settings.kafka, "tracker")
    consumer.subscribe(INTERACTIONS, handlers.interactions_recorded)

    caches = StateTable(settings.kafka, CACHES)             # caches.states: key → newest event

    python -m shared.kafka topics                           # make what the registry says
    python -m shared.kafka replay orders-v1-tracker-dlq     # give dead letters another chance

Messages are delivered at least once and in order per key; see docs/decisions/0003-delivery
and docs/decisions/0004-kafka-clients.
"""

from shared.kafka.consumer import Consumer
from shared.kafka.offsets import committed, committed_up_to_end, end_offsets, missing
from shared.kafka.publisher import Publisher
from shared.kafka.records import Record, Tombstone, Undecodable, encoded
from shared.kafka.states import StateTable

__all__ = [
    "Consumer",
    "Publisher",
    "Record",
    "StateTable",
    "Tombstone",
    "Undecodable",
    "committed",
    "committed_up_to_end",
    "encoded",
    "end_offsets",
    "missing",
]
