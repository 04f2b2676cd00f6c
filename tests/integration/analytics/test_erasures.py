"""After an erasure the figures stay, no row names the user, and records from before are refused."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.analytics.store import Erasures
from shared.aws.personalize.recommendation_ids import RecommendationIds, signing_key
from shared.events import InteractionRecorded, UserErased
from shared.events.servings import RecommendationServed, Serving
from tests.integration.analytics.conftest import Analytics
from tests.support.erasures import erasure

IDS = RecommendationIds(signing_key(""))
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
TABLES = ("servings", "touches", "logins", "purchases", "visitors", "counted_events", "early_marks")


class Receipts:
    """A publisher that keeps what it publishes."""

    def __init__(self) -> None:
        self.events: list[UserErased] = []

    async def publish(self, _topic: Any, events: list[UserErased], **_: float) -> None:
        self.events += events


def event(tenant: str, event_type: str, minutes: int, **fields: Any) -> InteractionRecorded:
    at = NOW + timedelta(minutes=minutes)
    members = {"event_id": uuid.uuid4().hex, "item_id": "i1", "occurred_at": at, "received_at": at}
    return InteractionRecorded(tenant=tenant, event_type=event_type, **members | fields)


def record(tenant: str) -> RecommendationServed:
    answer = Serving(
        recommendation_id=IDS.new(tenant, "placement/home", 1, round(NOW.timestamp() * 1000)),
        served_at=NOW,
        surface="placement",
        placement="home",
        user_id="ann",
        item_ids=("i1",),
        strategies=("similar",),
        source="redis",
    )
    return RecommendationServed(
        event_id=uuid.uuid4().hex, tenant=tenant, occurred_at=NOW, process="p", sequence=1, servings=(answer,)
    )


async def figures(analytics: Analytics, tenant: str) -> list[Any]:
    rows = await analytics.database.fetch(
        "SELECT * FROM figures WHERE tenant = $1 ORDER BY grain, begins_at, series_id", tenant
    )
    measures = await analytics.database.fetch(
        "SELECT * FROM measures WHERE tenant = $1 ORDER BY grain, begins_at, name", tenant
    )
    return [*map(tuple, rows), *map(tuple, measures)]


async def stored(analytics: Analytics, tenant: str) -> str:
    rows = [
        await analytics.database.fetch(f"SELECT * FROM {table} WHERE tenant = $1", tenant) for table in TABLES
    ]
    return repr([[dict(row) for row in of_table] for of_table in rows])


@pytest.mark.parametrize("replay", [False, True])
async def test_an_erased_user_is_in_no_row_and_in_all_figures(analytics: Analytics, *, replay: bool) -> None:
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    served = record(tenant)
    answer = served.servings[0].recommendation_id
    events = [
        event(tenant, "click", 1, session_id="visit-of-ann", recommendation_id=answer),
        event(tenant, "view", 2, session_id="visit-of-ann", user_id="ann"),
        event(tenant, "purchase", 3, user_id="ann", price=2.5, quantity=2.0, order_id="order-of-ann"),
        event(tenant, "view", 4, user_id="bob"),
    ]
    await analytics.counting.add_servings([served])
    await analytics.counting.add_events(events)
    before = await figures(analytics, tenant)
    receipts = Receipts()
    erasures = Erasures(analytics.database, receipts, analytics.settings, analytics.writer)
    request = erasure("ann", tenant=tenant, session_ids=("visit-of-ann",))

    await erasures.erase(request)
    if replay:
        await analytics.counting.add_servings([served])
        await analytics.counting.add_events(events)
        await erasures.erase(request)

    assert await figures(analytics, tenant) == before
    assert "2.5" in repr(before) or "5.00" in repr(before)
    text = await stored(analytics, tenant)
    assert not [name for name in ("ann", "order-of-ann") if f"'{name}'" in text or f"of-{name}'" in text]
    assert {tuple(sorted(each.rows.items())) for each in receipts.events} == {
        (("event_lake", 0), ("purchases", 1), ("reports", 0), ("touches", 1), ("visitors", 2))
    }
    assert await analytics.audit.check(tenant, repair=False) == []


async def test_what_a_user_does_after_the_erasure_counts(analytics: Analytics) -> None:
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    erasures = Erasures(analytics.database, Receipts(), analytics.settings, analytics.writer)
    await erasures.erase(erasure("ann", tenant=tenant, occurred_at=NOW))

    await analytics.counting.add_events(
        [event(tenant, "view", 1, user_id="ann"), event(tenant, "view", -1, user_id="ann")]
    )

    rows = await figures(analytics, tenant)
    assert sum(row[4] for row in rows if row[1] == "hour" and row[3] == "events:view") == 1


async def test_an_event_of_a_clock_that_is_ahead_goes_and_stays_out(analytics: Analytics) -> None:
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    ahead = [
        event(tenant, "view", 4, user_id="ann", received_at=NOW),
        event(tenant, "purchase", 4, user_id="ann", received_at=NOW, order_id="order-of-ann"),
    ]
    await analytics.counting.add_events(ahead)
    receipts = Receipts()
    erasures = Erasures(analytics.database, receipts, analytics.settings, analytics.writer)

    await erasures.erase(erasure("ann", tenant=tenant, occurred_at=NOW + timedelta(minutes=1)))
    more = event(tenant, "view", 4, user_id="ann", received_at=NOW)
    await analytics.counting.add_events([*ahead, more])

    assert "'ann'" not in await stored(analytics, tenant)
    assert receipts.events[0].rows["purchases"] == 1
    rows = await figures(analytics, tenant)
    assert sum(row[4] for row in rows if row[1] == "hour" and row[3] == "events:view") == 1
