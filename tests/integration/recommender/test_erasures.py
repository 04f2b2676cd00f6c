"""An erased user leaves no key in Redis, and events from before the erasure are refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.recommender.settings import Settings
from services.recommender.store.erasures import ErasureMarks, Erasures
from services.recommender.store.histories import Histories
from services.recommender.store.keys import erased_key, subjects_key
from services.recommender.store.user_keys import UserKeys
from shared.events import InteractionRecorded, UserErased
from shared.events.topics import INTERACTIONS, Topic
from shared.redis import Multiplexer
from tests.integration.recommender.histories import NOW, RETENTION, history_event
from tests.support.erasures import erasure


async def test_an_erased_user_leaves_no_key_and_the_receipt_counts_them(redis: Multiplexer) -> None:
    class NoRows:
        async def fetch(self, *_: object) -> list[object]:
            return []

    class Receipts:
        published: list[UserErased] = []

        async def publish(self, _: Topic, events: Sequence[UserErased], *, within: float) -> None:
            assert within > 0
            self.published.extend(events)

    histories, receipts = Histories(redis, RETENTION), Receipts()
    await histories.record([history_event(n, NOW - n, session="s") for n in range(10)])
    await histories.record([history_event(n, NOW - n, user=None, session="s") for n in range(20, 23)])
    await histories.record([history_event(n, NOW - n, user="other") for n in range(30, 33)])

    class Sessions:
        async def fetch(self, *_: object) -> list[dict[str, str]]:
            return [{"session_id": "s"}]

    marks = ErasureMarks(redis, timedelta(hours=48))
    erasures = Erasures(redis, NoRows(), receipts, marks)  # type: ignore[arg-type]
    counted = await UserKeys(redis, Sessions()).count("shop", "u")  # type: ignore[arg-type]
    await erasures.erase(erasure("u", tenant="shop", session_ids=("s",)))

    (keys,) = await redis.execute(("KEYS", "endcap:*{shop}:*"))
    erased = {erased_key("shop", subject).encode() for subject in ("u", "s")}
    assert erased <= set(keys)
    assert {key.decode().rpartition(":")[2] for key in set(keys) - erased} == {"other"}
    assert [bool(await marks.erased_until("shop", [each])) for each in ("u", "other")] == [True, False]
    (receipt,) = receipts.published
    assert receipt.rows == {
        "histories": 2,
        "purchases": 2,
        "impressions": 0,
        "links": 1,
        "overrides": 0,
        "attributes": 0,
    }
    assert counted == receipt.rows
    (subjects,) = await redis.execute(("ZRANGE", subjects_key(receipt.tenant), 0, -1))
    assert subjects == [b"other"]


async def test_events_from_before_an_erasure_are_refused_long_after_it(redis: Multiplexer) -> None:
    """`ErasedUsers` forgets an erasure an hour after its end; a topic is read again for two weeks."""
    requested_at = datetime.fromtimestamp(NOW, UTC) - timedelta(days=3)
    marks = ErasureMarks(redis, timedelta(days=15))
    await marks.set({("shop", subject): requested_at.timestamp() for subject in ("u", "s")})

    def event(
        user: str | None, occurred: int, received: int, session: str | None = None
    ) -> InteractionRecorded:
        return InteractionRecorded(
            event_id=f"{user}-{session}-{occurred}",
            tenant="shop",
            occurred_at=requested_at + timedelta(minutes=occurred),
            received_at=requested_at + timedelta(minutes=received),
            user_id=user,
            session_id=session,
            event_type="view",
            item_id="i",
        )

    refused = [event("u", -9, -9), event("u", 4, -1), event(None, 4, -1, "s"), event("u", -9, 60)]
    kept = [event("u", 5, 5), event(None, 5, 5, "s"), event("other", -9, -9)]

    assert await marks.without_erased([*refused, *kept]) == kept


def test_marks_of_erasures_outlast_the_events_that_may_arrive() -> None:
    marks = Settings().kept_erasure_marks

    assert INTERACTIONS.retention is not None
    assert marks > INTERACTIONS.retention
    assert marks >= Settings().purchase_lookback
    assert marks >= Settings().kept_answers
