"""Which events count as impressions without a click, and for which tenants they are counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.recommender.domain.unclicked_impressions import (
    FatigueTenants,
    count_within,
    impression_event,
)
from shared.events import InteractionRecorded
from shared.events.placements import Placement, PlacementChanged

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def interaction(event_type: str, **fields: Any) -> InteractionRecorded:
    defaults = {"user_id": "u", "event_id": "e", "occurred_at": AT, "received_at": AT, "tenant": "shop"}
    return InteractionRecorded(event_type=event_type, **{**defaults, **fields})


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (interaction("impression", item_id="a", impression=["b"]), (None, ("a", "b"), None)),
        (interaction("click", item_id="a", impression=["b", "a"]), (None, ("b",), "a")),
        (interaction("purchase", item_id="a", session_id="s"), ("s", (), "a")),
        (interaction("view", item_id="a", user_id=None, session_id="s"), (None, (), "a")),
        (interaction("search", impression=["b"]), (None, ("b",), None)),
        (interaction("refund", item_id="a"), None),
        (interaction("list_view"), None),
        (interaction("impression", item_id="a", historical=True), None),
        (
            interaction(
                "purchase", item_id="a", replaces={"event_type": "view", "occurred_at": AT, "user_id": "v"}
            ),
            None,
        ),
    ],
)
def test_an_event_says_what_was_shown_and_what_the_visitor_turned_to(
    event: InteractionRecorded, expected: Any
) -> None:
    said = impression_event(event)

    assert (said and (said.session_id, said.shown, said.engaged)) == expected


def test_the_time_is_that_of_receipt_and_the_subject_may_be_a_session() -> None:
    said = impression_event(interaction("click", item_id="a", user_id=None, session_id="s"))

    assert said is not None
    assert (said.subject, said.milliseconds) == ("s", 1_795_780_800_000)


@pytest.mark.parametrize(
    ("counts", "days", "expected"),
    [
        (b"100 3", 1, 3),
        (b"99 3", 1, 0),
        (b"100 3 99 2 80 5", 2, 5),
        (b"100 3 99 2 80 5", 30, 10),
        (b"", 7, 0),
    ],
)
def test_impressions_of_the_last_days_are_added(counts: bytes, days: int, expected: int) -> None:
    assert count_within(counts, days, today=100) == expected


def test_tenants_are_counted_while_a_placement_has_fatigue() -> None:
    def changed(**rules: Any) -> PlacementChanged:
        placement = Placement.model_validate({"strategies": [{"strategy": "popular"}], "rules": rules})
        return PlacementChanged(
            event_id="e", tenant="shop", occurred_at=AT, name="home", revision=1, placement=placement
        )

    tenants = FatigueTenants()
    tenants.apply("shop:home", changed(fatigue={"impressions": 3}))
    tenants.apply("shop:cart", changed(fatigue={"impressions": 3}))
    tenants.apply("other:home", changed())
    assert "shop" in tenants
    assert "other" not in tenants
    tenants.apply("shop:home", changed())
    assert "shop" in tenants
    tenants.apply("shop:cart", None)
    assert "shop" not in tenants
