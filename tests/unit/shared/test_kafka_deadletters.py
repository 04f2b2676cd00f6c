"""A dead letter states its reason, fits into Kafka, and is written once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import Permanent, Transient
from shared.events.topics import INTERACTIONS, UPLOADS
from shared.kafka import activity
from shared.kafka.activity import Activity, ConsumerEnding
from shared.kafka.deadletters import HEADERS, MAX_REMEMBERED, DeadLetters, Failure
from shared.kafka.records import Decoder, Record, Undecodable, check_sizes

REFUSED = Failure("DataError", "no such value", 1, refused=True)


class Kafka:
    """Takes records of the size that Kafka takes, after it was away as often as it is told."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.records: list[Record] = []

    async def deliver(self, topic: str, records: Sequence[Record], within: float) -> None:
        del within
        if self.away:
            self.away -= 1
            raise Transient("Kafka is away")
        check_sizes(topic, records)
        self.records += records


def received(offset: int = 7, **changes: Any) -> Any:
    record = {
        "topic": "t-v1",
        "partition": 2,
        "offset": offset,
        "timestamp": 1_000,
        "key": b"shop:u1",
        "value": b"{",
        "headers": (("traceparent", b"00"),),
    }
    return SimpleNamespace(**(record | changes))


def letters(kafka: Kafka) -> DeadLetters:
    producer: Any = kafka
    return DeadLetters(producer, "t-v1-tracker-dlq", Activity("t-v1", "tracker"), "t-v1", "tracker")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "FIRST_PAUSE_SECONDS", 0.0)


async def test_a_dead_letter_is_the_record_with_the_reason() -> None:
    kafka = Kafka(away=3)
    await letters(kafka).put(received(), REFUSED, asyncio.Event())

    (letter,) = kafka.records
    assert (letter.key, letter.value, letter.headers[0]) == (b"shop:u1", b"{", ("traceparent", b"00"))
    assert [name for name, _ in letter.headers[1:]] == list(HEADERS)
    assert dict(letter.headers)["original_offset"] == b"7"


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"value": b"x" * 1_000_000}, b"shop:u1", None),
        ({"key": b"k" * 1_000_001}, None, None),
    ],
    ids=["value", "key"],
)
async def test_a_dead_letter_of_a_record_that_is_too_large_names_its_offset(
    changes: dict[str, Any], key: bytes | None, value: bytes | None
) -> None:
    kafka = Kafka()
    await letters(kafka).put(received(**changes), REFUSED, asyncio.Event())

    (letter,) = kafka.records
    assert (letter.key, letter.value) == (key, value)
    assert dict(letter.headers)["original_offset"] == b"7"


async def test_a_reason_that_is_no_unicode_is_written_all_the_same() -> None:
    kafka = Kafka()
    await letters(kafka).put(received(), Failure("invalid", "half of a pair: \ud800", 1), asyncio.Event())

    assert dict(kafka.records[0].headers)["dlq-reason"] == b"half of a pair: \\ud800"


async def test_a_record_that_comes_again_is_known_until_its_offset_is_committed() -> None:
    kept = letters(Kafka())
    await kept.put(received(7), REFUSED, asyncio.Event())
    again, made_anew = received(7), received(7, timestamp=2_000)

    assert kept.among([again, made_anew, received(8)]) == [again]
    kept.forget_before({2: 7, 0: 100})
    assert kept.among([again]) == [again]
    kept.forget_before({2: 8})
    assert kept.among([again]) == []


async def test_memory_for_dead_letters_is_bounded() -> None:
    kept = letters(Kafka())
    for offset in range(MAX_REMEMBERED + 5):
        await kept.put(received(offset), REFUSED, asyncio.Event())

    assert len(kept.among([received(offset) for offset in range(MAX_REMEMBERED + 5)])) == MAX_REMEMBERED


async def test_no_dead_letter_is_written_once_the_consumer_ends() -> None:
    kafka, ending = Kafka(), asyncio.Event()
    ending.set()

    with pytest.raises(ConsumerEnding):
        await letters(kafka).put(received(), REFUSED, ending)

    assert kafka.records == []


def test_a_validator_that_breaks_makes_its_record_undecodable(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Decoder(INTERACTIONS)

    def broken(_: object) -> Any:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(decoder, "_decoded", broken)
    with pytest.raises(Undecodable, match="date value out of range") as raised:
        decoder.decode(received())
    assert isinstance(raised.value, Permanent)


def test_whose_record_it_is() -> None:
    decoder = Decoder(INTERACTIONS)

    assert decoder.tenant(received(headers=(("ce_tenantid", b"other"),))) == "other"
    assert decoder.tenant(received()) == "shop"
    assert decoder.tenant(received(key=None)) == ""
    assert Decoder(UPLOADS).tenant(received(key=b"endcap-uploads/a/orders.csv")) == "", "anybody's key"
