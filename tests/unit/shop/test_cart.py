"""The sums of a cart, and its bounds."""

from __future__ import annotations

from typing import Any

import pytest

from examples.shop.cart import EXPRESS_CENTS, MAX_LINES, MAX_QUANTITY, STANDARD_CENTS, Cart, Line, totals
from examples.shop.products import Product, money

MUG = Product("mug", "Mug", 12.1)
PLATE = Product("plate", "Plate", 0.07)
GONE = Product("gone", "Gone", 5, available=False)


def test_quantities_are_added_set_and_removed() -> None:
    session: dict[str, Any] = {}
    cart = Cart(session)

    cart.add("mug")
    cart.add("mug", 2)
    cart.add("plate")
    assert (cart.quantities, cart.count) == ({"mug": 3, "plate": 1}, 4)
    cart.put("mug", 0)
    assert session == {"cart": {"plate": 1}}
    cart.clear()
    assert cart.count == 0


def test_a_cart_has_bounds() -> None:
    cart = Cart({})

    assert cart.put("mug", 1_000_000)
    assert cart.quantities["mug"] == MAX_QUANTITY
    assert all(cart.add(str(number)) for number in range(MAX_LINES - 1))
    assert not cart.add("one too many")
    assert cart.add("mug")


def test_lines_leave_out_what_cannot_be_bought() -> None:
    cart = Cart({"cart": {"mug": 2, "gone": 1, "unknown": 1}})

    assert cart.lines({"mug": MUG, "gone": GONE}) == [Line(MUG, 2)]


@pytest.mark.parametrize(
    ("lines", "express", "goods", "delivery"),
    [
        ([], False, 0, 0),
        ([], True, 0, 0),
        ([Line(PLATE, 3)], False, 21, STANDARD_CENTS),
        ([Line(MUG, 3)], False, 3_630, STANDARD_CENTS),
        ([Line(MUG, 3), Line(PLATE, 53)], False, 4_001, 0),
        ([Line(MUG, 9)], True, 10_890, EXPRESS_CENTS),
        ([Line(Product("free", "Free"), 9)], False, 0, STANDARD_CENTS),
    ],
)
def test_sums_are_exact_cents(lines: list[Line], express: bool, goods: int, delivery: int) -> None:  # noqa: FBT001
    sums = totals(lines, express=express)

    assert (sums.goods, sums.delivery) == (goods, delivery)
    assert sums.text == money(goods + delivery)


def test_money_is_written_for_people() -> None:
    assert (money(120_450), money(5, "GBP"), money(100, "CHF")) == ("€1,204.50", "£0.05", "CHF 1.00")
