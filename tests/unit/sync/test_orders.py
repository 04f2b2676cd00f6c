"""Lines become whole orders: counted, hashed, and the same whatever the order of their rows."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sync.domain.file_orders import Order, StagedLine
from services.sync.domain.mapping import Layout
from services.sync.domain.order_rows import INHERITED_KIND, NON_SALE_CODES, OrderRow
from services.sync.domain.orders import MAX_ORDER_LINES, RejectedLine, assemble_orders, rejected_as_changed
from services.sync.domain.rejected_orders import RejectedOrders
from services.sync.domain.table import Record
from shared.events import OrderCancelled, OrderPlaced, line_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_line(at: int, product: str = "a", order: str = "1", **values: object) -> StagedLine:
    row = OrderRow(
        "order", order, None, "u", None, NOON, product, "Cup", None, 1.0, 2.5, "EUR", None, None, "Austria"
    )
    return StagedLine(at, row._replace(**values))


def settled(lines: list[StagedLine]) -> tuple[list[Order], list[RejectedLine]]:
    result = list(assemble_orders(sorted(lines, key=lambda line: (line.row.order_id, line.row.kind))))
    return [order for order, _ in result if order], [line for _, rejected in result for line in rejected]


def test_the_lines_of_a_product_are_counted() -> None:
    (order,), _ = settled([a_line(2), a_line(3, "b"), a_line(4), a_line(9)])

    assert [(item.row.product_id, item.n) for item in order.items] == [("a", 1), ("b", 1), ("a", 2), ("a", 3)]


def test_line_numbers_of_the_source_order_the_lines() -> None:
    (order,), _ = settled([a_line(2, position=2, quantity=2.0), a_line(3, position=1, quantity=1.0)])

    assert [(item.row.quantity, item.n) for item in order.items] == [(1.0, 1), (2.0, 2)]


@given(st.permutations([a_line(2), a_line(3, "b"), a_line(4, quantity=3.0), a_line(5, order="2")]))
def test_the_content_does_not_depend_on_the_order_of_the_rows(lines: list[StagedLine]) -> None:
    moved = [StagedLine(at, line.row) for at, line in enumerate(lines, 2)]

    contents = {order.order_id: order.content for order in settled(moved)[0]}

    assert contents == {order.order_id: order.content for order in settled(
        [a_line(2), a_line(3, "b"), a_line(4, quantity=3.0), a_line(5, order="2")]
    )[0]}  # fmt: skip


@given(
    field=st.sampled_from(
        ["quantity", "price", "product_id", "user_id", "product_name", "country", "ordered_at"]
    ),
    seed=st.integers(),
)
def test_any_other_content_is_seen(field: str, seed: int) -> None:
    value: object = {
        "quantity": 7.0, "price": None, "ordered_at": NOON + timedelta(seconds=1),
    }.get(field, f"other {random.Random(seed).random()}")  # fmt: skip

    (first,), _ = settled([a_line(2), a_line(3, "b")])
    (second,), _ = settled(
        [a_line(2, **{field: value}), a_line(3, "b", **({field: value} if field == "user_id" else {}))]
    )

    assert first.content != second.content


def test_an_order_is_as_old_as_its_first_line_and_knows_its_customer_from_any() -> None:
    (order,), _ = settled(
        [a_line(2, user_id=None, ordered_at=NOON + timedelta(minutes=1)), a_line(3, customer_name="Ada")]
    )

    assert (order.user_id, order.customer_name, order.ordered_at) == ("u", "Ada", NOON)


def test_an_order_of_two_customers_is_refused_whole() -> None:
    orders, rejected = settled([a_line(2), a_line(3, user_id="v"), a_line(4, order="2")])

    assert [order.order_id for order in orders] == ["2"]
    assert [(line.file_line, line.code) for line in rejected] == [
        (2, "order_incomplete"), (3, "order_inconsistent"),
    ]  # fmt: skip
    assert "its line 3 is rejected; correct that line and send the order again" in rejected[0].detail


def test_a_line_number_that_comes_twice_with_other_content_refuses_the_order() -> None:
    orders, rejected = settled([a_line(2, position=1), a_line(3, position=1, quantity=2.0)])

    assert orders == []
    assert [(line.file_line, line.code) for line in rejected] == [
        (2, "order_incomplete"), (3, "line_repeated"),
    ]  # fmt: skip


BLANK: dict[str, object] = dict.fromkeys(
    ("user_id", "customer_name", "ordered_at", "currency", "city", "province", "country")
)


def test_cells_of_the_order_may_stand_in_any_one_row() -> None:
    full = [a_line(at, name, city="Graz") for at, name in enumerate("abc", 2)]
    sparse = [StagedLine(line.file_line, line.row._replace(**BLANK), (0, 1)) for line in full]

    for at in range(3):
        lines = [*sparse[:at], full[at], *sparse[at + 1 :]]
        (order,), rejected = settled(lines)
        assert rejected == []
        assert [item.row for item in order.items] == [line.row for line in full]
        assert [line.file_line for line in order.filled_lines] == [
            line.file_line for line in lines if line.ctid
        ]
        # So a mended file brings the same again; and so does the same file to an order of an earlier release.
        assert order.content == settled(full)[0][0].content
        assert order.matches(order.content)
        assert order.matches(order.unfilled_content)
    assert settled(full)[0][0].filled_lines == ()


def test_an_order_without_any_date_is_refused_whole() -> None:
    orders, rejected = settled([a_line(2, ordered_at=None), a_line(3, ordered_at=None)])

    assert orders == []
    assert [(line.file_line, line.code) for line in rejected] == [(2, "missing_value"), (3, "missing_value")]


def test_a_row_without_kind_and_date_is_of_the_kind_before_it() -> None:
    lines = [
        a_line(2, "a"),
        a_line(3, "b", kind=INHERITED_KIND, ordered_at=None),
        a_line(4, "a", kind="cancellation", quantity=-1.0, ordered_at=NOON + timedelta(days=1)),
        a_line(5, "b", kind=INHERITED_KIND, ordered_at=None, quantity=2.0),
        a_line(6, "c", kind=INHERITED_KIND, ordered_at=None, quantity=-3.0),
    ]

    (order, cancellation), rejected = settled(lines)

    assert rejected == []
    assert [(item.row.product_id, item.row.quantity) for item in order.items] == [("a", 1.0), ("b", 1.0)]
    assert [(item.row.product_id, item.row.quantity) for item in cancellation.items] == [
        ("a", -1.0), ("b", -2.0), ("c", -3.0),
    ]  # fmt: skip
    assert [item.row.ordered_at for item in cancellation.items] == [NOON + timedelta(days=1)] * 3


def test_a_row_that_takes_nothing_from_the_shop_leaves_the_order_whole() -> None:
    (order,), rejected = settled([a_line(2), a_line(3, kind=INHERITED_KIND, ordered_at=None, quantity=-1.0)])

    assert len(order.items) == 1
    assert [(line.file_line, line.code) for line in rejected] == [(3, "quantity_not_positive")]


def noted(*rows: str, codes: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    """Return the orders of refused rows of a file with the columns order_id, product_id and name."""
    names = Layout({"order_id": 0, "product_id": 1, "name": 2}, ())
    rejected_orders = RejectedOrders(names, ";")
    for line, row in enumerate(rows, 2):
        rejected_orders.add(Record(line, [], row), codes[line - 2] if codes else "bad_number")
    return rejected_orders.take()


def test_a_refused_row_tells_its_order_however_damaged_it_is() -> None:
    assert noted("1;a;x", '2;"left open;x', "3;a", '"4";b;c;d;e', "1;a;x") == [
        ("1", 2), ("2", 3), ("3", 4), ("4", 5),
    ]  # fmt: skip


def test_a_refused_row_with_a_product_and_no_order_is_of_the_order_before() -> None:
    assert noted("1;POSTAGE;x", ";a;x", codes=("service_code", "missing_value")) == [("1", 3)]
    assert noted("1;POSTAGE;x", ";;Sum", ";;", codes=("service_code", "ragged_row", "ragged_row")) == []


@pytest.mark.parametrize("code", sorted(NON_SALE_CODES))
def test_a_row_that_is_no_order_line_leaves_the_order_whole(code: str) -> None:
    assert noted("1;a;x", codes=(code,)) == []


def test_a_line_number_that_comes_twice_is_refused() -> None:
    (order,), rejected = settled([a_line(2, position=1), a_line(3, position=1), a_line(4, position=0)])

    assert len(order.items) == 2
    assert [(line.file_line, line.code) for line in rejected] == [(3, "line_repeated")]


def test_an_order_that_no_event_could_carry_is_refused() -> None:
    orders, rejected = settled([a_line(at) for at in range(2, MAX_ORDER_LINES + 3)])
    wide, wide_refused = settled([a_line(at, product_name="x" * 2_000) for at in range(2, 502)])

    assert orders == wide == []
    assert {line.code for line in rejected} == {line.code for line in wide_refused} == {"order_too_large"}
    assert len(wide_refused) == 500


def test_an_order_becomes_one_event_with_its_lines() -> None:
    (order,), _ = settled([a_line(2), a_line(3), a_line(4, "b", category="Kitchen")])

    event = order.event("default", "endcap", names_cancelled_order=True)

    assert isinstance(event, OrderPlaced)
    assert (event.key, event.historical, event.occurred_at) == ("default:u", True, NOON)
    assert [(line.item_id, line.n, line.category) for line in event.lines] == [
        ("a", 1, None), ("a", 2, None), ("b", 1, "Kitchen"),
    ]  # fmt: skip
    assert len({line_id("default", "1", line, "purchase") for line in event.lines}) == 3


def test_a_guests_order_is_keyed_by_itself() -> None:
    (order,), _ = settled([a_line(2, user_id=None)])

    assert order.event("default", "endcap", names_cancelled_order=True).key == "default:order:1"


def test_a_cancellation_names_its_order_only_where_the_source_does() -> None:
    (order,), _ = settled([a_line(2, kind="cancellation", quantity=-1.0)])

    named = order.event("default", "endcap", names_cancelled_order=True)
    unnamed = order.event("default", "online-retail", names_cancelled_order=False)

    assert isinstance(named, OrderCancelled)
    assert isinstance(unnamed, OrderCancelled)
    assert (named.cancels, unnamed.cancels) == ("1", None)
    assert (
        named.event_id
        != settled([a_line(2)])[0][0].event("default", "endcap", names_cancelled_order=True).event_id
    )


def test_an_order_that_comes_again_changed_is_refused_line_by_line() -> None:
    (order,), _ = settled([a_line(2), a_line(5)])

    rejected = rejected_as_changed(order)

    assert [line.file_line for line in rejected] == [2, 5]
    assert "an order must be in one file" in rejected[0].detail
