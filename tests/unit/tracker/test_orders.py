"""Orders as purchases, and when two events under one id say the same."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.tracker.api.intake import new_id
from services.tracker.domain.fingerprint import fingerprint
from services.tracker.domain.orders import line_states, purchases, returns
from services.tracker.handlers import Handlers
from shared.events import (
    Claim,
    InteractionRecorded,
    OrderCancelled,
    OrderLine,
    OrderPlaced,
    OrderRefunded,
    line_id,
)
from shared.events.topics import INTERACTIONS

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
PLACED = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
LINES = (
    OrderLine(item_id="85123A", n=1, name="HANGER", quantity=6, price=2.55),
    OrderLine(item_id="85123A", n=2, quantity=1, price=2.55),
)


def an_order(**changes: Any) -> OrderPlaced:
    fields: dict[str, Any] = {
        "event_id": "e",
        "tenant": "shop",
        "occurred_at": PLACED,
        "order_id": "536365",
        "user_id": "17850",
        "city": "London",
        "province": "England",
        "country": "United Kingdom",
        "lines": LINES,
        "historical": True,
    }
    return OrderPlaced(**fields | changes)


def test_each_line_is_a_purchase_at_the_time_and_place_of_the_order() -> None:
    first, second = purchases(an_order(), NOW)

    assert first.event_id == line_id("shop", "536365", LINES[0], "purchase")
    assert first.event_id != second.event_id
    assert (first.event_type, first.item_id, first.quantity, first.price) == ("purchase", "85123A", 6, 2.55)
    assert (first.user_id, first.session_id, first.key) == ("17850", None, "shop:17850")
    assert (first.city, first.province, first.country) == ("London", "England", "United Kingdom")
    assert (first.occurred_at, first.received_at, first.historical) == (PLACED, NOW, True)
    assert (first.source, first.order_id) == ("order", "536365")


def test_a_guest_is_a_session_of_the_order() -> None:
    first, _ = purchases(an_order(user_id=None), NOW)

    assert (first.user_id, first.session_id, first.key) == (None, "order:536365", "shop:order:536365")


class Published:
    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    async def publish(self, topic: Any, events: Any, **_: float) -> None:
        self.calls.append((topic.name, len(events)))


async def test_only_what_was_ordered_is_published() -> None:
    publisher = Published()
    lines = {"event_id": "c", "tenant": "shop", "occurred_at": NOW, "order_id": "C1", "lines": LINES}
    events = [an_order(), OrderCancelled(**lines), OrderRefunded(**lines), an_order(order_id="2")]

    await Handlers(None, publisher, None).orders_changed(events)  # no store is needed

    assert publisher.calls == [(INTERACTIONS.name, 4)]


def a_return(kind: type[OrderCancelled] | type[OrderRefunded], **changes: Any) -> Any:
    """The first line is returned entirely, of the second one piece of two."""
    first, second = LINES
    lines = (
        first.model_copy(update={"quantity": -6, "remaining": 0}),
        second.model_copy(update={"quantity": -1, "remaining": 1}),
    )
    names = {"refunds": "536365"} if kind is OrderRefunded else {"cancels": "536365"}
    values = {"event_id": "r", "tenant": "shop", "occurred_at": NOW, "order_id": "536365", "user_id": "17850"}
    return kind(**values | names | {"lines": lines, "revision": 1, "placed_at": PLACED} | changes)


def test_a_line_that_is_returned_entirely_replaces_its_purchase() -> None:
    purchase, _ = purchases(an_order(), NOW)

    (refund,) = returns(a_return(OrderRefunded), NOW)

    assert (refund.event_id, refund.key, refund.event_type) == (purchase.event_id, purchase.key, "refund")
    assert refund.replaces == Claim(
        user_id="17850", event_type="purchase", item_id="85123A", occurred_at=PLACED
    )
    assert [event.event_type for event in returns(a_return(OrderCancelled), NOW)] == ["cancel"]
    assert returns(a_return(OrderRefunded, placed_at=None), NOW) == []


def test_a_version_of_an_order_says_which_lines_are_bought() -> None:
    bought = tuple(line.model_copy(update={"remaining": line.quantity}) for line in LINES)
    cancelled = (bought[0].model_copy(update={"remaining": 0}), bought[1])

    assert list(line_states([an_order(), an_order(lines=bought)])) == []
    assert [state.returned for state in line_states([a_return(OrderRefunded)])] == [True, False]
    assert [state.returned for state in line_states([an_order(lines=bought, revision=2)])] == [False, False]
    assert [state.returned for state in line_states([an_order(lines=cancelled)])] == [True]
    assert [event.quantity for event in purchases(an_order(lines=cancelled), NOW)] == [1]


async def test_a_poll_without_orders_publishes_nothing() -> None:
    publisher = Published()
    await Handlers(None, publisher, None).orders_changed([an_order(lines=())])  # type: ignore[arg-type]
    assert publisher.calls == []


def an_interaction(**changes: Any) -> InteractionRecorded:
    fields: dict[str, Any] = {
        "event_id": "e",
        "tenant": "shop",
        "occurred_at": PLACED,
        "received_at": NOW,
        "user_id": "u",
        "event_type": "view",
        "item_id": "i",
        "properties": {"a": 1, "b": 2},
    }
    return InteractionRecorded(**fields | changes)


@pytest.mark.parametrize(
    "changes",
    [{"received_at": PLACED}, {"occurred_at": NOW}, {"properties": {"b": 2, "a": 1}}, {"source": "backend"}],
)
def test_a_repeated_report_says_the_same(changes: dict[str, Any]) -> None:
    assert fingerprint(an_interaction()) == fingerprint(an_interaction(**changes))


@pytest.mark.parametrize(
    "changes",
    [{"item_id": "j"}, {"event_type": "click"}, {"user_id": "v"}, {"value": 1.0}, {"properties": None}],
)
def test_other_content_says_something_else(changes: dict[str, Any]) -> None:
    assert fingerprint(an_interaction()) != fingerprint(an_interaction(**changes))


def test_page_and_shop_report_one_line_of_an_order() -> None:
    by_shop, _ = purchases(an_order(), NOW)
    by_page = an_interaction(
        event_id=by_shop.event_id,
        user_id=None,
        session_id="browser",
        event_type="purchase",
        item_id="85123A",
        order_id="536365",
        quantity=6,
        price=2.55,
        properties={"page": "/thanks"},
    )

    assert fingerprint(by_page) == fingerprint(by_shop)
    assert fingerprint(by_page.model_copy(update={"quantity": 7.0})) != fingerprint(by_shop)


def test_new_ids_are_uuids_of_version_seven_that_grow() -> None:
    ids = [new_id() for _ in range(1000)]

    assert len(set(ids)) == 1000
    assert [event_id[14] for event_id in ids] == ["7"] * 1000
    assert {event_id[19] for event_id in ids} <= set("89ab")
    assert [event_id[:13] for event_id in ids] == sorted(event_id[:13] for event_id in ids)
