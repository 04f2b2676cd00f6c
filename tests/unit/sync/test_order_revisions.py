"""Versions of followed orders: what they change, in whatever order and how often they arrive."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.sync.domain import records
from services.sync.domain.order_revisions import FollowedOrder, Revision, return_line, revise, revise_returns
from services.sync.domain.records import LineRecord, OrderRecord, ReturnRecord
from shared.events import OrderCancelled, OrderPlaced, OrderRefunded, derived_id

START = datetime(2026, 11, 1, tzinfo=UTC)


def version(hour: int = 0, lines: str = "abb", **changes: Any) -> OrderRecord:
    """An order with a line for each letter, whose key is the letter and its place."""
    values: dict[str, Any] = {
        "order_id": "o1",
        "ordered_at": START,
        "updated_at": START + timedelta(hours=hour),
        "user_id": "u",
        "lines": [
            {"key": f"{letter}{place}", "product_id": letter, "quantity": 2}
            for place, letter in enumerate(lines)
        ],
    }
    return records.order(**values | changes)


def a_return(key: str, number: int) -> ReturnRecord:
    return ReturnRecord(return_id=f"{key}{number}", line_key=key, quantity=1)


def first(record: OrderRecord | None = None) -> FollowedOrder:
    revision = revise(None, record or version(), {})
    assert isinstance(revision, Revision)
    return revision.order


def changed(stored: FollowedOrder, record: OrderRecord, **returned: float) -> Revision:
    revision = revise(stored, record, {f"key:{key}": quantity for key, quantity in returned.items()})
    assert isinstance(revision, Revision)
    return revision


def test_a_new_order_has_the_event_that_a_file_would_have() -> None:
    revision = revise(None, version(), {})
    assert isinstance(revision, Revision)

    (event,) = revision.events("shop", "web", START, START)

    assert isinstance(event, OrderPlaced)
    assert event.event_id == derived_id("shop", "o1", "order")
    assert [(line.item_id, line.n, line.remaining) for line in event.lines] == [
        ("a", 1, 2),
        ("b", 1, 2),
        ("b", 2, 2),
    ]
    assert not event.historical


def test_the_same_version_changes_nothing_and_an_older_one_neither() -> None:
    stored = first(version(2))

    assert revise(stored, version(2), {}) is None
    assert revise(stored, version(1, lines="a", status="old"), {}) is None
    later = revise(stored, version(3), {})
    assert isinstance(later, FollowedOrder)
    assert later.changed_at == START + timedelta(hours=3)


def test_a_refund_leaves_what_remains_and_comes_once() -> None:
    stored = first()

    partly = changed(stored, version(1), b1=1)
    (event,) = partly.events("shop", "web", START, START)
    assert isinstance(event, OrderRefunded)
    assert [(line.item_id, line.n, line.quantity, line.remaining) for line in event.lines] == [
        ("b", 1, -1, 1)
    ]
    assert (event.refunds, event.placed_at) == ("o1", START)

    wholly = changed(partly.order, version(2), b1=2)
    assert [(line.product_id, less) for line, less in wholly.undone] == [("b", 1)]
    assert revise_returns(wholly.order, {"key:b1": 2}) is None


def test_a_cancellation_undoes_all_lines_and_can_be_taken_back() -> None:
    gone = changed(first(), version(1, bought=False, cancelled=True))
    (event,) = gone.events("shop", "web", START, START)
    assert isinstance(event, OrderCancelled)
    assert {line.remaining for line in event.lines} == {0}

    back = changed(gone.order, version(2))
    (event,) = back.events("shop", "web", START, START)  # type: ignore[assignment]
    assert isinstance(event, OrderPlaced)
    assert event.revision == 2
    assert len(event.lines) == 3
    assert event.event_id != derived_id("shop", "o1", "order")


def test_lines_keep_their_numbers_when_others_come_and_go() -> None:
    left = [{"key": "b2", "product_id": "b", "quantity": 2}, {"key": "x", "product_id": "b"}]
    lines = tuple(LineRecord.model_validate(line) for line in left)
    edited = changed(first(), version(1).model_copy(update={"lines": lines}))

    assert [(line.key, line.n, line.remaining) for line in edited.order.lines] == [
        ("a0", 1, 0), ("b1", 1, 0), ("b2", 2, 2), ("x", 3, 1),
    ]  # fmt: skip
    assert [line.key for line in edited.bought] == ["x"]


def test_an_order_of_a_file_is_followed_without_counting_twice() -> None:
    """Its lines have no keys: they are matched by product, in their order."""
    stored = first()
    lines = tuple(replace(line, key=None) for line in stored.lines)
    unkeyed = replace(stored, lines=lines, changed_at=None)

    followed = changed(unkeyed, version(1))

    assert followed.events("shop", "web", START, START) == []
    assert [line.key for line in followed.order.lines] == ["a0", "b1", "b2"]


@given(data=st.data())
def test_the_newest_version_holds_in_any_order_of_arrival(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 5))
    versions = [
        version(
            hour,
            lines=data.draw(st.text("abc", min_size=1, max_size=4)),
            bought=data.draw(st.booleans()),
            status=f"s{hour}",
        )
        for hour in range(count)
    ]
    refund = st.builds(a_return, st.sampled_from(["a0", "b1"]), st.integers(1, 2))
    refunds = data.draw(st.lists(refund, max_size=3))
    arrivals = data.draw(st.permutations([*versions, *versions, *refunds]))
    stored: FollowedOrder | None = None
    returned: dict[str, dict[str, float]] = {}
    remaining: dict[tuple[str, int], float] = {}
    for arrival in arrivals:
        totals = {line: sum(parts.values()) for line, parts in returned.items()}
        if isinstance(arrival, ReturnRecord):
            returned.setdefault(return_line(arrival), {})[arrival.return_id] = arrival.quantity or 0
            totals = {line: sum(parts.values()) for line, parts in returned.items()}
            change = None if stored is None else revise_returns(stored, totals)
        else:
            change = revise(stored, arrival, totals)
        if isinstance(change, FollowedOrder):
            stored = change
        elif change is not None:
            stored = change.order
            for event in change.events("shop", "web", START, START):
                for bought in event.lines:
                    remaining[bought.item_id, bought.n] = bought.remaining or 0

    assert stored is not None
    assert stored.status == versions[-1].status
    newest = versions[-1]
    expected = {line.key: 0.0 for line in stored.lines}
    for line in newest.lines:
        gone = sum(returned.get(f"key:{line.key}", {}).values())
        expected[line.key] = max(0.0, 2 - gone) if newest.bought else 0.0
    assert {line.key: line.remaining for line in stored.lines} == expected
    assert {(line.product_id, line.n) for line in stored.lines if line.remaining > 0} == {
        key for key, quantity in remaining.items() if quantity > 0
    }
