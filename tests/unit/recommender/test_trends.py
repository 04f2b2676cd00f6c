"""Trending: what is counted, how growth is scored, and what the strategy makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.recommender.domain.trends import growth, hour_of, trend_counts
from services.recommender.serving.placements.request import PlacementRequest
from shared.events import InteractionRecorded
from shared.events.placements import StrategyUse
from tests.unit.recommender.placement_shop import TENANT, Shop, ranked

NOON = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


def event(kind: str, item_id: str | None, **fields: Any) -> InteractionRecorded:
    defaults = {"tenant": "t", "event_id": "e", "user_id": "u", "occurred_at": NOON, "received_at": NOON}
    return InteractionRecorded(event_type=kind, item_id=item_id, **{**defaults, **fields})


def test_views_carts_and_purchases_count_in_the_hour_in_which_they_happened() -> None:
    hour = hour_of(NOON)
    events = [
        *(event(kind, "a") for kind in ("view", "add_to_cart", "purchase")),
        event("view", "b", occurred_at=NOON - timedelta(hours=1)),
        event("view", "c", tenant="other"),
        event("impression", "d"),
        event("search", None),
        event("view", "e", historical=True),
        event("view", "f", occurred_at=NOON - timedelta(hours=27)),
        event("view", "g", occurred_at=NOON + timedelta(hours=1)),
    ]

    assert trend_counts(events, NOON) == {
        ("t", hour): {"a": 3},
        ("t", hour - 1): {"b": 1},
        ("other", hour): {"c": 1},
    }


def test_an_item_grows_if_it_has_more_events_than_the_day_before_lets_expect() -> None:
    recent = {"new": 20.0, "steady": 30.0, "doubled": 60.0, "rare": 1.0, "falling": 5.0}
    earlier = {"steady": 240.0, "doubled": 240.0, "falling": 240.0}

    scores = growth(recent, earlier, 3.0)

    assert [item_id for item_id, _ in scores] == ["new", "doubled", "rare"]
    assert dict(scores)["rare"] == 0.5


def test_the_length_of_the_recent_time_scales_what_is_expected() -> None:
    assert growth({"a": 20.0}, {"a": 240.0}, 2.0) == []
    assert growth({"a": 21.0}, {"a": 240.0}, 2.0) == [("a", 0.2041)]


async def proposed(shop: Shop, count: int, **fields: Any) -> Any:
    request = PlacementRequest(TENANT, "test", **fields)
    use = StrategyUse(strategy="trending")
    return await shop.strategies["trending"].propose(use, request, await shop.visitor(request, {}), count)


async def test_trending_items_come_first_and_popular_ones_fill_up() -> None:
    shop = Shop()
    shop.popular = {"all": ranked(1, 2, 3, 4)}
    shop.trends.scores = [("i7", 3.0), ("i2", 2.0), ("i9", 1.0)]
    shop.withdraw("i9")

    proposal = await proposed(shop, 5)

    assert [each.item_id for each in proposal.candidates] == ["i7", "i2", "i1", "i3", "i4"]
    assert [each.signals[0].name for each in proposal.candidates] == ["trending"] * 2 + ["popular_in"] * 3
    assert proposal.source == b"redis"


async def test_only_trending_items_of_the_requested_category_are_proposed() -> None:
    shop = Shop()
    shop.trends.scores = [("i7", 3.0), ("i2", 2.0)]

    proposal = await proposed(shop, 1, category="Coffee")

    assert [each.item_id for each in proposal.candidates] == ["i2"]


async def test_without_trends_what_is_popular_is_proposed() -> None:
    shop = Shop()
    shop.popular = {"all": ranked(1, 2)}

    proposal = await proposed(shop, 5)

    assert [each.item_id for each in proposal.candidates] == ["i1", "i2"]
    assert proposal.source == b"popular"
