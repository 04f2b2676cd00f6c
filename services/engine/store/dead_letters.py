"""Dead letters of all services for a tenant, and their replay.

See docs/decisions/0006-kafka-errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from services.engine.metrics import REPLAYS
from services.engine.store.statements import SQL
from shared.kafka import DeadLetter, DeadLetterReader, Place, Producer, dead_letter_topics

if TYPE_CHECKING:
    from shared.kafka import Record
    from shared.postgres import Database
    from shared.settings import KafkaSettings

READ_SECONDS: Final = 5.0
"""Time that reading letters may take; arbitrary."""
PUBLISH_SECONDS: Final = 2.0
"""Time that Kafka may take to confirm a replayed record, as for a publisher."""
STORE_SECONDS: Final = 6.0
"""Time of a transaction; a second call for a record waits in it for the first one to be published."""


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """A dead letter, and when its record was replayed."""

    letter: DeadLetter
    replayed_at: datetime | None


class DeadLetters:
    """Dead letters in Kafka, and the replays in Postgres. A part: it connects when it is first used."""

    name = "dead-letters"

    def __init__(self, database: Database, reader: DeadLetterReader, settings: KafkaSettings) -> None:
        self._database = database.for_requests(STORE_SECONDS)
        self._reader = reader
        self._producer = Producer(settings, "engine-replay")

    async def start(self) -> None:
        """Do nothing: the first use connects."""

    async def stop(self) -> None:
        """Close the connections to Kafka."""
        await self._reader.stop()
        await self._producer.stop()

    def alive(self) -> str | None:
        """Return why the process needs a restart; None if it does not."""
        return self._producer.failure()

    def ready(self) -> str | None:
        """Return None: the control plane is ready without Kafka."""
        return None

    async def newest(
        self, tenant: str, limit: int, topic: str | None = None, consumer: str | None = None
    ) -> tuple[list[ListedLetter], bool]:
        """Return up to `limit` letters of a tenant, newest first, and whether older ones were looked at too.

        `topic` is that of the records, `consumer` the service that could not handle them. Raise Transient if
        Kafka is not reachable.
        """
        topics = [
            name
            for name, source in dead_letter_topics().items()
            if topic in {None, source.topic.name} and consumer in {None, source.consumer}
        ]
        letters, is_complete = await self._reader.newest(
            topics, lambda letter: letter.tenant == tenant, limit, within=READ_SECONDS
        )
        return await self._listed(tenant, letters), is_complete

    async def find(self, tenant: str, place: Place) -> ListedLetter | None:
        """Return a letter of a tenant; None if it has none there. Raise Transient as `newest` does."""
        letter = await self._reader.find(place, within=READ_SECONDS)
        if letter is None or letter.tenant != tenant:
            return None
        return (await self._listed(tenant, [letter]))[0]

    async def replay(self, tenant: str, letter: DeadLetter, by: str, record: Record) -> datetime | None:
        """Publish the record of a letter to its topic; return when, or None if it was replayed before.

        `record` is that of a whole letter, or a mended one.

        Calls for one record wait for each other. A crash between Kafka and Postgres may publish a record
        twice; its id makes handlers take it once. Raise Transient if Kafka does not confirm it.
        """
        async with self._database.transaction() as connection:
            replayed_at: datetime | None = await connection.fetchval(
                *SQL.begin_replay(
                    tenant=tenant,
                    topic=letter.topic,
                    partition=_original(letter).partition,
                    record_offset=_original(letter).offset,
                    record_id=letter.ce("id"),
                    replayed_by=by,
                )
            )
            if replayed_at is None:
                return None
            await self._producer.deliver(letter.topic, [record], PUBLISH_SECONDS)
        REPLAYS.labels(letter.topic).inc()
        return replayed_at

    async def _listed(self, tenant: str, letters: list[DeadLetter]) -> list[ListedLetter]:
        rows = await self._database.fetch(
            *SQL.replays(
                tenant=tenant,
                topics=[letter.topic for letter in letters],
                partitions=[_original(letter).partition for letter in letters],
                record_offsets=[_original(letter).offset for letter in letters],
                record_ids=[letter.ce("id") for letter in letters],
            )
        )
        replays = {
            (row["topic"], row["partition"], row["record_offset"], row["record_id"]): row["replayed_at"]
            for row in rows
        }
        return [ListedLetter(letter, replays.get(_identity(letter))) for letter in letters]


def _original(letter: DeadLetter) -> Place:
    """Return the place of the record, or that of a letter that does not name it."""
    return letter.original or letter.place


def _identity(letter: DeadLetter) -> tuple[str, int, int, str]:
    return letter.topic, _original(letter).partition, _original(letter).offset, letter.ce("id")
