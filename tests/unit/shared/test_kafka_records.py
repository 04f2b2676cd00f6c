"""Events are encoded as records and decoded; other records are recognized."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version

import orjson
import pytest
from aiokafka.partitioner import murmur2 as reference_murmur2
from hypothesis import given
from hypothesis import strategies as st

from shared.events import InteractionRecorded, ItemPut, ObjectNotice, OrderCancelled, UserPut
from shared.events.topics import CACHES, INTERACTIONS, ORDERS, PUTS, UPLOADS, Topic
from shared.kafka.deadletters import Failure, dead_letters, without_ours
from shared.kafka.murmur2 import murmur2
from shared.kafka.records import Decoder, Headers, Tombstone, Undecodable, encoded, header
from tests.support.kafka import NOW, interaction

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Given:
    """A record as it is read."""

    value: bytes | None
    headers: Headers = ()
    key: bytes | None = b"shop:u1"
    topic: str = "interactions-v1"
    partition: int = 3
    offset: int = 17
    timestamp: int = 1_000


def as_read(event: object) -> Given:
    record = encoded(event, "tracker", TRACEPARENT)  # type: ignore[arg-type]
    return Given(record.value, record.headers, record.key)


def reason(topic: Topic, given: Given) -> str:
    with pytest.raises(Undecodable) as caught:
        Decoder(topic).decode(given)
    return caught.value.reason


def test_a_record_is_a_cloud_event_in_binary_mode() -> None:
    event = interaction("ü1", event_id="e1")

    record = encoded(event, "tracker", TRACEPARENT)

    assert record.key == "shop:ü1".encode()
    assert dict(record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"e1",
        "ce_type": b"endcap.InteractionRecorded.v1",
        "ce_source": b"/endcap/tracker",
        "ce_time": b"2026-11-20T12:00:00+00:00",
        "ce_tenantid": b"shop",
        "content-type": b"application/json",
        "traceparent": TRACEPARENT.encode(),
    }
    assert orjson.loads(record.value or b"")["event_id"] == "e1"


def test_an_event_comes_back_as_it_was() -> None:
    event = interaction(properties={"empty": None, "nested": [1, {"a": 0.1}], "text": "ß"}, price=9.99)

    assert Decoder(INTERACTIONS).decode(as_read(event)) == event


def test_a_topic_of_several_events_is_read_by_their_type() -> None:
    given = {"event_id": "e", "tenant": "shop", "occurred_at": NOW}
    events = [
        UserPut(**given, user_id="u", fields={"a": 1}),
        ItemPut(**given, item_id="i", fields={"a": None}),
    ]

    assert [Decoder(PUTS).decode(as_read(event)) for event in events] == events


def test_a_topic_of_one_event_is_read_without_a_type() -> None:
    event = interaction()

    assert Decoder(INTERACTIONS).decode(replace(as_read(event), headers=())) == event


def test_a_missing_type_among_several_is_bad() -> None:
    order = OrderCancelled(event_id="e", tenant="shop", occurred_at=NOW, order_id="o")

    assert reason(ORDERS, replace(as_read(order), headers=())) == "no_type"


@pytest.mark.parametrize("kind", [b"endcap.InteractionRecorded.v2", b"com.example.Click", b"\xff", b""])
def test_another_type_or_version_is_distinguished_from_a_bad_record(kind: bytes) -> None:
    given = replace(as_read(interaction()), headers=[("ce_type", kind)])

    assert reason(INTERACTIONS, given) == "unsupported_version"


@pytest.mark.parametrize(
    "headers",
    [
        [("x", None)],
        [("x", b"\xff\xfe")],
        [("traceparent", b"\xff"), ("content-type", b"\xff")],
        [("", b""), ("", b"")],
    ],
)
def test_foreign_headers_are_left_alone(headers: Headers) -> None:
    notice = {"EventName": "s3:ObjectCreated:Put", "Records": []}

    found = Decoder(UPLOADS).decode(Given(orjson.dumps(notice), headers))

    assert isinstance(found, ObjectNotice)


def test_a_foreign_record_may_carry_a_type_of_its_own() -> None:
    found = Decoder(UPLOADS).decode(Given(b'{"Records":[]}', [("ce_type", b"com.example.object")]))

    assert isinstance(found, ObjectNotice)


def structured(event: InteractionRecorded) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event.event_id,
            "source": "/somewhere",
            "type": "endcap.InteractionRecorded.v1",
            "data": orjson.loads(event.model_dump_json()),
        }
    )


def test_the_content_type_decides_about_structured_mode_whatever_other_headers_say() -> None:
    event = interaction()
    headers = [
        ("ce_type", b"something else"),
        ("content-type", b"application/cloudevents+json; charset=utf-8"),
    ]

    assert Decoder(INTERACTIONS).decode(Given(structured(event), headers)) == event


def test_ce_headers_alone_do_not_make_it_structured() -> None:
    headers = [("ce_type", b"endcap.InteractionRecorded.v1"), ("content-type", b"application/json")]

    assert reason(INTERACTIONS, Given(structured(interaction()), headers)) == "invalid"


@pytest.mark.parametrize("value", [b"", b"[]", b'{"type":1}', b'"x"', b"\xff"])
def test_a_broken_structured_event_is_bad(value: bytes) -> None:
    headers = [("content-type", b"application/cloudevents+json")]

    assert reason(INTERACTIONS, Given(value, headers)) in {"not_json", "invalid", "unsupported_version"}


def poisoned(text: str) -> bytes:
    whole = interaction(item_id="HERE").model_dump_json(exclude_none=True).encode()
    return whole.replace(b'"HERE"', text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "value",
    [b"", b"\x00", b"{", b"null", b"[]", b"\xff\xfe\x00", b"[" * 10_000, b'{"a":' * 10_000],
    ids=lambda value: repr(value[:30]),
)
def test_what_is_no_event_is_bad_and_nothing_worse(value: bytes) -> None:
    assert reason(INTERACTIONS, Given(value)) in {"not_json", "invalid"}


@pytest.mark.parametrize(
    "text",
    [
        '"\\u0000"',
        '"\\ud800"',
        '"\ud800"',
        '""',
        f'"{"x" * 257}"',
        "12",
        '"i", "price": NaN',
        '"i", "price": Infinity',
        '"i", "price": 1e999',
        '"i", "price": "free"',
        '"i", "properties": []',
        '"i", "properties": {"a": "\\u0000"}',
        '"i", "occurred_at": "2026-11-20T12:00:00"',
        '"i", "occurred_at": 1e30',
        '"i", "properties": {"n": 123456789012345678901234567890}',
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_every_poisoned_event_is_bad_and_nothing_worse(text: str) -> None:
    assert reason(INTERACTIONS, Given(poisoned(text))) in {"not_json", "invalid"}


def test_fields_of_a_newer_producer_are_ignored() -> None:
    value = poisoned('"i", "colour_of_the_sky": "blue"')

    assert isinstance(Decoder(INTERACTIONS).decode(Given(value)), InteractionRecorded)


def test_no_value_is_a_tombstone_on_a_compacted_topic_only() -> None:
    assert Decoder(CACHES).decode(Given(None, key=b"shop")) == Tombstone("shop")
    assert Tombstone("shop:item:1").tenant == "shop"
    assert reason(INTERACTIONS, Given(None)) == "no_value"
    assert reason(CACHES, Given(None, key=None)) == "no_value"


def test_a_dead_letter_is_the_record_and_the_reason() -> None:
    headers = (("ce_id", b"e1"), ("odd", None), ("bytes", b"\xff"))
    letter = next(
        dead_letters(Given(b"\xffbad", headers), Failure("not_json", "no JSON at all", attempts=2), "tracker")
    )

    assert (letter.key, letter.value) == (b"shop:u1", b"\xffbad")
    assert letter.headers[:3] == headers
    story = dict(letter.headers[3:])
    assert story.pop("dlq-failed-at")
    assert story == {
        "dlq-reason": b"no JSON at all",
        "dlq-error-class": b"not_json",
        "dlq-group": b"tracker",
        "dlq-attempts": b"2",
        "original_topic": b"interactions-v1",
        "original_partition": b"3",
        "original_offset": b"17",
    }
    assert without_ours(letter.headers) == headers


def test_a_second_dead_letter_replaces_the_reason_of_the_first() -> None:
    first = next(dead_letters(Given(b"x"), Failure("invalid", "first", 1), "tracker"))

    second = next(dead_letters(Given(b"x", first.headers), Failure("invalid", "second", 1), "tracker"))

    assert [name for name, _ in second.headers] == [name for name, _ in first.headers]
    assert header(Given(b"x", second.headers), "dlq-reason") == "second"


@pytest.mark.parametrize(
    ("package", "least"),
    [
        ("faststream", (0, 7, 8)),  # hazard 3: before, a batch's nack lost other partitions' records
        ("aiokafka", (0, 14, 0)),  # hazard 16: before, batches lingered and coordinators died wrongly
    ],
)
def test_hazards_03_and_16_are_fixed_in_the_installed_versions(package: str, least: tuple[int, ...]) -> None:
    assert tuple(int(part) for part in version(package).split(".")[:3]) >= least


# From the tests of Kafka's Java client (org.apache.kafka.common.utils.UtilsTest.testMurmur2).
@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_hash_as_in_java(key: bytes, signed: int) -> None:
    assert murmur2(key) == reference_murmur2(key) == signed & 0xFFFFFFFF


@given(st.binary(max_size=70))
def test_every_key_hashes_as_in_other_clients(key: bytes) -> None:
    assert murmur2(key) == reference_murmur2(key) & 0xFFFFFFFF
