"""Figures equal a count of all facts, in whatever order and however often the facts arrive."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from services.analytics.domain.figures import COUNTS, day_of
from services.analytics.domain.reports import Period
from services.analytics.store.freshness import show_newest_events
from shared.aws.personalize.recommendation_ids import RecommendationIds, signing_key
from shared.events import InteractionRecorded
from shared.events.servings import RecommendationServed, Serving
from tests.integration.analytics.conftest import Analytics
from tests.integration.analytics.reference import expected

IDS = RecommendationIds(signing_key("a secret of the test"))
BEGIN = day_of(datetime.now(UTC)) - timedelta(days=12)
ITEMS = ("i1", "i2", "i3")
HOURS = st.integers(0, 11 * 24)


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


@st.composite
def servings(draw: Any, tenant: str) -> Serving:
    served_at = at(draw(HOURS)) + timedelta(milliseconds=draw(st.integers(0, 999)))
    items = tuple(draw(st.permutations(ITEMS))[: draw(st.integers(0, 3))])
    milliseconds = round(served_at.timestamp() * 1000)
    return Serving(
        recommendation_id=IDS.new(tenant, "placement/home", 1, milliseconds),
        served_at=datetime.fromtimestamp(milliseconds / 1000, UTC),
        surface="placement",
        user_id=draw(st.sampled_from([None, "ann", "bob"])),
        placement=draw(st.sampled_from(["home", "cart"])),
        item_ids=items,
        strategies=tuple(draw(st.sampled_from(["similar", "popular"])) for _ in items),
        source=draw(st.sampled_from(["redis", "popular"])),
        variant=draw(st.sampled_from([None, "a"])),
    )


@st.composite
def events(draw: Any, tenant: str, answers: Sequence[Serving]) -> InteractionRecorded:
    happened_at = at(draw(HOURS)) + timedelta(minutes=draw(st.integers(0, 59)))
    event_type = draw(
        st.sampled_from(["impression", "click", "click", "add_to_cart", "purchase", "purchase", "search"])
    )
    user = draw(st.sampled_from([None, "ann", "bob"]))
    session = (
        draw(st.sampled_from(["s1", "s2"])) if user is None else draw(st.sampled_from([None, "s1", "s2"]))
    )
    ids = [each.recommendation_id for each in answers] + [None, "RID-unknown"]
    fields: dict[str, Any] = {}
    if event_type == "purchase":
        fields["price"] = draw(st.sampled_from([1.1, 2.5]))
        fields["quantity"] = draw(st.sampled_from([None, 1.0, 3.0]))
        fields["order_id"] = draw(st.sampled_from([None, "o1", "o2"]))
    if event_type == "impression":
        fields["impression"] = tuple(draw(st.lists(st.sampled_from([*ITEMS, "unknown"]), max_size=3)))
    return InteractionRecorded(
        event_id=uuid.uuid4().hex,
        tenant=tenant,
        occurred_at=happened_at,
        received_at=happened_at + timedelta(seconds=draw(st.integers(0, 100))),
        user_id=user,
        session_id=session,
        event_type=event_type,
        item_id=draw(st.sampled_from(ITEMS)),
        recommendation_id=draw(st.sampled_from(ids)),
        **fields,
    )


@st.composite
def days(draw: Any) -> tuple[str, list[Serving], list[InteractionRecorded], list[Any]]:
    """A tenant, its answers and events, and these in an order of arrival, some of them twice."""
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    answers = draw(st.lists(servings(tenant), min_size=1, max_size=4))
    listed = draw(st.lists(events(tenant, answers), max_size=12))
    claims = [each for each in listed if each.event_type == "purchase" and each.order_id and each.user_id]
    for claim in (
        draw(st.lists(st.sampled_from(claims), unique_by=lambda each: each.event_id)) if claims else []
    ):
        changes = {"source": "order", "recommendation_id": None, "session_id": None}
        changes |= draw(st.sampled_from([{}, {"price": 9.0}, {"user_id": "bob"}]))
        listed.append(claim.model_copy(update=changes))
    facts: list[Any] = [*answers, *listed]
    repeated = draw(st.lists(st.sampled_from(facts), max_size=4))
    return tenant, answers, listed, draw(st.permutations([*facts, *repeated]))


async def deliver(analytics: Analytics, tenant: str, arrivals: Sequence[Any], size: int) -> None:
    """Deliver facts in polls of at most `size` facts of one topic."""
    poll: list[Any] = []

    async def handle() -> None:
        if poll and isinstance(poll[0], Serving):
            record = RecommendationServed(
                event_id=uuid.uuid4().hex,
                tenant=tenant,
                occurred_at=BEGIN,
                process="p",
                sequence=1,
                servings=tuple(poll),
            )
            await analytics.counting.add_servings([record])
        elif poll:
            await analytics.counting.add_events(poll)

    for fact in arrivals:
        if poll and (len(poll) == size or type(poll[0]) is not type(fact)):
            await handle()
            poll = []
        poll.append(fact)
    await handle()


async def counted(analytics: Analytics, tenant: str) -> tuple[dict[Any, Any], dict[Any, Any]]:
    period = Period(BEGIN, BEGIN + timedelta(days=14), "hour")
    figures = {}
    for grouping in ({"placement", "strategy", "variant"}, {"placement", "variant"}):
        for row in await analytics.reports.figures(tenant, period, frozenset(grouping), None, 100_000):
            values = {name: Decimal(row[name]) for name in COUNTS}
            if any(values.values()):
                figures[row["begins_at"], row["placement"], row["strategy"], row["variant"]] = values
    rows = await analytics.reports.measures(tenant, period)
    return figures, {(row["begins_at"], row["name"]): row["value"] for row in rows if row["value"]}


def compared(figures: dict[Any, Any], measures: dict[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Figures, and the measures that do not depend on which of two equal ids came first."""
    return figures, {key: value for key, value in measures.items() if key[1] != "events:purchase" and value}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(shop=days(), size=st.integers(1, 6))
async def test_figures_equal_a_count_of_all_facts(
    analytics: Analytics,
    shop: tuple[str, list[Serving], list[InteractionRecorded], list[Any]],
    size: int,
) -> None:
    tenant, answers, listed, arrivals = shop
    await deliver(analytics, tenant, arrivals, size)

    first = await counted(analytics, tenant)
    window = timedelta(days=7)
    assert compared(*first) == compared(*expected(answers, listed, window))
    assert await analytics.audit.check(tenant, repair=False) == []

    await deliver(analytics, tenant, arrivals[::-1], 100)  # a replay
    assert await counted(analytics, tenant) == first


async def test_check_tells_and_repairs_a_figure_that_is_wrong(analytics: Analytics) -> None:
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    now = datetime.now(UTC)
    answer = Serving(
        recommendation_id=IDS.new(tenant, "placement/home", 1, round(now.timestamp() * 1000)),
        served_at=now,
        surface="placement",
        placement="home",
        item_ids=("i1", "i2"),
        strategies=("similar",),
        source="redis",
    )
    await deliver(analytics, tenant, [answer], 1)
    await analytics.database.execute(
        "UPDATE figures SET items = 7 WHERE tenant = $1 AND grain = 'hour'", tenant
    )

    differences = await analytics.audit.check(tenant, repair=True)

    assert {(each.counted, each.stored) for each in differences} == {(2, 7)}
    assert await analytics.audit.check(tenant, repair=False) == []


async def test_events_of_before_the_shop_came_are_not_counted(analytics: Analytics) -> None:
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    event = InteractionRecorded(
        event_id="e1",
        tenant=tenant,
        occurred_at=BEGIN,
        received_at=BEGIN,
        user_id="ann",
        event_type="purchase",
        item_id="i1",
        historical=True,
    )

    await analytics.counting.add_events([event])
    await analytics.counting.add_servings([])

    assert await counted(analytics, tenant) == ({}, {})


async def test_the_newest_event_of_each_tenant_is_a_gauge(analytics: Analytics) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    await analytics.database.execute(
        "INSERT INTO freshness (tenant, newest_event_at) VALUES ('aged', $1), ('silent', NULL)", at
    )

    await show_newest_events(analytics.database)

    name = "endcap_analytics_newest_event_timestamp_seconds"
    assert REGISTRY.get_sample_value(name, {"tenant": "aged"}) == at.timestamp()
    assert REGISTRY.get_sample_value(name, {"tenant": "silent"}) is None
