"""Servings: published as events that readers parse, within bounds, and every one of them is counted."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommender.domain.catalogue import Catalogue
from services.recommender.serving.placements.candidates import Candidate, Dropped, PlacementAnswer
from services.recommender.serving.placements.request import PlacementRequest
from services.recommender.serving.recommendation import History, Recommendation, Recommended, ServedVariant
from services.recommender.serving.recorder import AnswerRecorder
from services.recommender.serving.targets import Target
from services.recommender.store import servings as module
from services.recommender.store.crash_safe_counters import CrashSafeCounters
from services.recommender.store.servings import Servings, key_of
from shared.aws.personalize.recommendation_ids import RecommendationIds, is_from, parse, signing_key
from shared.errors import Transient
from shared.events.placements import DEFAULT_PLACEMENTS
from shared.events.servings import RecommendationServed, Serving
from shared.events.topics import SERVINGS
from shared.kafka import Record
from shared.kafka.records import Decoder, partition_of
from tests.support.waiting import eventually

IDS = RecommendationIds(signing_key("secret"))
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


class Broker:
    """A publisher whose records can be read, and that can be away."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.is_away = False

    async def publish_raw(self, _: str, records: Sequence[Record], *, within: float = 2.0) -> None:
        if self.is_away:
            raise Transient(f"away for {within} s")
        self.records.extend(records)

    def events(self) -> list[RecommendationServed]:
        decoder = Decoder(SERVINGS)
        return [decoder.decode(_Received(record)) for record in self.records]  # type: ignore[misc]

    def servings(self) -> list[Serving]:
        return [serving for event in self.events() for serving in event.servings]


class _Received:
    def __init__(self, record: Record) -> None:
        self.topic, self.partition, self.offset, self.timestamp = SERVINGS.name, 0, 0, 0
        self.key, self.value, self.headers = record.key, record.value, record.headers


def started(broker: Broker, folder: Path, max_bytes: int = 10**6) -> Servings:
    return Servings(broker, CrashSafeCounters(folder, "servings"), max_bytes)  # type: ignore[arg-type]


async def published(folder: Path, *record: Any) -> Broker:
    """Return what is published after each function in `record` got a recorder."""
    broker = Broker()
    servings = started(broker, folder)
    await servings.start()
    for each in record:
        each(AnswerRecorder(servings, IDS))
    await servings.stop()
    return broker


def rows(*item_ids: str, algorithm: str = "sims") -> list[bytes]:
    return Catalogue().encode([(each, 0.5) for each in item_ids], set(), 100, algorithm)


async def test_an_answer_of_a_list_is_an_event(tmp_path: Path) -> None:
    ids = []

    def record(recorder: AnswerRecorder) -> None:
        listed = [*rows("a", 'b"\\'), *rows("c", algorithm="popularity")]
        request = {"item_id": "x", "limit": 3}
        ids.append(recorder.rest("shop", "u1", "sims", listed, b"redis", 7, request).decode())

    broker = await published(tmp_path, record)

    (event,) = broker.events()
    (serving,) = event.servings
    assert (event.tenant, event.sequence, event.key) == ("shop", 1, "shop:u1")
    assert serving.recommendation_id == ids[0]
    assert serving.item_ids == ("a", 'b"\\', "c")
    assert serving.strategies == ("sims", "sims", "popularity")
    assert (serving.surface, serving.user_id, serving.target) == ("rest", "u1", "sims")
    assert (serving.source, serving.generation) == ("redis", 7)
    assert serving.request == {"item_id": "x", "limit": 3}


async def test_an_id_names_the_partition_and_the_source_of_its_answer(tmp_path: Path) -> None:
    ids = []
    broker = await published(
        tmp_path,
        lambda recorder: ids.append(recorder.rest("shop", "u1", "sims", rows("a"), b"redis", 7, {}).decode()),
    )

    (record,) = broker.records
    signed = parse(ids[0])
    assert signed is not None
    assert record.key == key_of("shop", "u1")
    assert signed.partition == partition_of(record.key, 12)
    assert is_from(ids[0], "shop", "sims")
    (serving,) = broker.servings()
    assert signed.milliseconds == round(serving.served_at.timestamp() * 1000)


async def test_an_answer_of_a_placement_has_what_it_came_from(tmp_path: Path) -> None:
    request = PlacementRequest("shop", "home", "u1", "s1", cart=("x",), category="tea", limit=4)
    answer = PlacementAnswer(
        request,
        DEFAULT_PLACEMENTS["home"],
        3,
        [Candidate("a", "for-you", 0.25), Candidate("b", "popular")],
        [Dropped("x", "for-you", "in_cart"), Dropped("y", "for-you", "purchased")],
        b"model",
        None,
        "f00",
        12,
        1_790_000_000.0,
    )

    assignment: Any = SimpleNamespace(answered=ServedVariant("test", 2, "live", 0.8))
    answer.assignment = assignment
    broker = await published(tmp_path, lambda recorder: recorder.placement(answer))

    (serving,) = broker.servings()
    assert (serving.placement, serving.revision, serving.session_id) == ("home", 3, "s1")
    assert serving.strategies == ("for-you", "popular")
    assert serving.rules == ("in_cart", "purchased")
    assert (serving.history_events, serving.model_sha256) == (12, "f00")
    assert serving.newest_event_at is not None
    assert (serving.experiment, serving.experiment_version, serving.variant) == ("test", 2, "live")
    assert (serving.propensity, serving.scores) == (0.8, (0.25, None))
    assert serving.request == {"cart": ["x"], "category": "tea", "limit": 4}


async def test_an_answer_of_a_campaign_names_what_was_requested(tmp_path: Path) -> None:
    recommended = Recommended([Recommendation("a", 0.5), Recommendation("b")], b"redis", 5, History(0, None))
    target, request = Target("shop", "sims"), {"item_id": "i"}
    variants = None, ServedVariant("test", 2, "live", 0.8), ServedVariant("test", 2, "live")

    def record(recorder: AnswerRecorder) -> None:
        for variant in variants:
            recorder.scored(target, "runtime", None, "arn:x", recommended, request, variant)

    serving, *others = (await published(tmp_path, record)).servings()
    assert [each.scores for each in (serving, *others)] == [(), (0.5, None), ()]
    assert (serving.surface, serving.target, serving.strategies) == ("runtime", "arn:x", ("sims",))
    assert (serving.item_ids, serving.generation, serving.subject) == (("a", "b"), 5, "")


@given(item_ids=st.lists(NAMES, min_size=1, max_size=5, unique=True), user=NAMES, target=NAMES)
def test_any_name_can_be_published(item_ids: list[str], user: str, target: str) -> None:
    scores = [(item_id, number / 8) for number, item_id in enumerate(item_ids)]
    listed = Catalogue().encode(scores, set(), 100, target)
    variant = ServedVariant("test", 2, target, 0.5)

    facts = "shop", user, target, listed, b"redis", None, {"limit": 1}, variant, user

    def record(recorder: AnswerRecorder) -> None:
        recorder.rest(*facts)
        recorder.rest(*facts, scores=[*scores, ("more", 0.1)])

    for serving in asyncio.run(published(Path("/dev/null"), record)).servings():
        assert serving.item_ids == tuple(item_ids)
        assert serving.strategies == (target,)
        assert serving.user_id == serving.session_id == user
        assert (serving.variant, serving.propensity) == (target, 0.5)
        assert serving.scores == tuple(score for _, score in scores)


async def test_a_record_has_the_answers_of_one_tenant(tmp_path: Path) -> None:
    """They are in the partition of the first one's subject, which each id names."""

    def record(recorder: AnswerRecorder) -> None:
        for n in range(100):
            recorder.rest(f"shop-{n % 2}", f"u{n}", "sims", rows("a"), b"redis", 7, {})

    broker = await published(tmp_path, record, record)

    assert len(broker.servings()) == 200
    for event in broker.events():
        assert event.key == f"{event.tenant}:{event.servings[0].subject}"
        signed = [parse(each.recommendation_id) for each in event.servings]
        assert {each and each.partition for each in signed} == {partition_of(event.key.encode(), 12)}
    assert [(event.tenant, event.sequence) for event in broker.events()] == [("shop-0", 1), ("shop-1", 2)]


async def test_many_answers_become_several_records(tmp_path: Path) -> None:
    def record(recorder: AnswerRecorder) -> None:
        for _ in range(30):
            recorder.rest("shop", "u", "sims", rows(*(f"{n:0>200}" for n in range(100))), b"redis", 7, {})

    broker = await published(tmp_path, record)

    assert len(broker.servings()) == 30
    assert all(len(each.value or b"") < 2 * module.RECORD_BYTES for each in broker.records)
    assert len(broker.records) > 1


async def test_while_kafka_is_away_the_oldest_answers_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COLLECT_SECONDS", 0.01)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    broker = Broker()
    broker.is_away = True
    counters = CrashSafeCounters(tmp_path, "servings")
    servings = Servings(broker, counters, 20_000)  # type: ignore[arg-type]
    await servings.start()
    dropped = _dropped()
    recorder = AnswerRecorder(servings, IDS)
    for n in range(50):
        recorder.rest("shop", f"u{n}", "sims", rows(*(f"{n:0>50}" for n in range(20))), b"redis", 7, {})
        await asyncio.sleep(0.02)
    broker.is_away = False
    await eventually(lambda: counters.cells[0] == counters.cells[1])

    users = {each.user_id for each in broker.servings()}
    assert 5 <= len(users) < 50
    assert "u49" in users
    assert "u0" not in users
    assert len(users) + _dropped() - dropped == 50
    await servings.stop()


async def test_an_answer_that_cannot_be_encoded_stops_no_other(tmp_path: Path) -> None:
    before = _dropped()
    broker = await published(
        tmp_path,
        lambda recorder: recorder.rest("shop", "u1", "sims", [b"no row"], b"redis", 7, {}),
        lambda recorder: recorder.rest("shop", "u1", "sims", rows("a"), b"redis", 7, {}),
    )

    assert [each.item_ids for each in broker.servings()] == [("a",)]
    assert _dropped() - before == 1


def test_what_a_killed_process_did_not_publish_is_counted_once(tmp_path: Path) -> None:
    killed, alive = CrashSafeCounters(tmp_path, "servings"), CrashSafeCounters(tmp_path, "servings")
    assert killed.open() == alive.open() == 0
    killed.cells[0], killed.cells[1] = 100, 93
    alive.cells[0] = 5
    _kill(killed)

    assert CrashSafeCounters(tmp_path, "exposures").open() == 0
    assert CrashSafeCounters(tmp_path, "servings").open() == 7
    assert CrashSafeCounters(tmp_path, "servings").open() == 0


def test_an_ordinary_end_leaves_nothing_to_count(tmp_path: Path) -> None:
    counters = CrashSafeCounters(tmp_path, "servings")
    counters.open()
    counters.cells[0] = 5
    counters.close()

    assert CrashSafeCounters(tmp_path, "servings").open() == 0


def test_a_folder_that_cannot_be_written_stops_no_process() -> None:
    counters = CrashSafeCounters(Path("/dev/null/state"), "servings")

    assert counters.open() == 0
    counters.cells[0] += 1
    counters.close()


def _kill(counters: CrashSafeCounters) -> None:
    """Release the lock of a process as its end does."""
    assert counters._file is not None
    fcntl.flock(counters._file, fcntl.LOCK_UN)


def _dropped() -> int:
    return int(module._DROPPED._value.get())


def test_the_rows_of_the_catalogue_begin_with_their_id() -> None:
    (row,) = rows("a")

    assert row.startswith(b'{"product_id":"a"')
    assert row.endswith(b'"algorithm":"sims"}')
    assert orjson.loads(row)["product_id"] == "a"
