"""Events of the widgets of a Shopify theme."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from pydantic import ValidationError

from services.tracker.domain.formats import REQUEST_FORMATS
from services.tracker.domain.formats.shopify import PATHS, WidgetEvent, parse_widget_event
from services.tracker.domain.ingest_context import IngestContext
from shared.events import InteractionRecorded, OrderLine, line_id

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SENT = {
    "event_type": "click",
    "occurred_at": "2026-11-21T07:59:58Z",
    "mg_session_id": "s-17",
    "rec_request_id": "req-5",
    "source_widget": "product-page",
    "seed_product_id": 12,
    "recommended_product_id": 34,
    "recommended_position": 2,
}


def context() -> IngestContext:
    numbers = count(1)
    return IngestContext("shop", NOW, NOW - timedelta(days=7300), lambda: f"new-{next(numbers)}")


def parsed(**changes: Any) -> InteractionRecorded:
    members = {name: value for name, value in (SENT | changes).items() if value is not None}
    (event,) = parse_widget_event(WidgetEvent.model_validate(members), context())
    return event


def test_a_click_has_what_the_widget_sent() -> None:
    event = parsed()

    assert (event.event_type, event.item_id, event.session_id, event.user_id) == ("click", "34", "s-17", None)
    assert event.occurred_at == NOW - timedelta(seconds=2)
    assert event.recommendation_id == "req-5"
    assert event.properties == {
        "source_widget": "product-page",
        "seed_product_id": "12",
        "recommended_position": 2,
        "rec_request_id": "req-5",
    }


def test_the_id_of_the_answer_comes_before_the_script_s_own() -> None:
    assert parsed(recommendation_id="RID-1").recommendation_id == "RID-1"
    assert parsed(rec_request_id=None).recommendation_id is None


def test_a_repeated_event_has_the_same_id_and_another_item_another() -> None:
    assert parsed().event_id == parsed().event_id
    assert parsed().event_id != parsed(recommended_product_id=35).event_id
    assert parsed().event_id != parsed(event_type="impression").event_id


def test_a_purchase_with_an_order_is_the_order_s_line() -> None:
    expected = line_id("shop", "o1", OrderLine(item_id="34", n=1), "purchase")

    assert parsed(event_type="purchase", order_id="o1").event_id == expected
    assert parsed(event_type="purchase").event_type == "purchase"


@pytest.mark.parametrize(
    "changes",
    [
        {"mg_session_id": None},
        {"recommended_product_id": None},
        {"event_type": None},
        {"recommended_position": 0},
        {"recommended_position": "first"},
        {"occurred_at": "yesterday"},
    ],
)
def test_an_event_that_says_too_little_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(**changes)


def test_both_paths_take_them() -> None:
    assert set(PATHS) <= {each.path for each in REQUEST_FORMATS}
