"""The cart of a session: quantities by item id, and their sums in cents."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from examples.shop.products import Product, money

MAX_QUANTITY = 99
MAX_LINES = 40
"""Lines of a cart. A cookie has room for 4,096 bytes."""
EXPRESS_CENTS = 490
FREE_DELIVERY_CENTS = 4_000
STANDARD_CENTS = 290


@dataclass(frozen=True, slots=True)
class Line:
    """A product in the cart."""

    product: Product
    quantity: int

    @property
    def cents(self) -> int:
        """Return the price of the line in cents; an unknown price counts as 0."""
        return round((self.product.price or 0) * 100) * self.quantity

    @property
    def text(self) -> str:
        """Return the price of the line for people."""
        return money(self.cents, self.product.currency)


class Cart:
    """The cart in a session. Changes are kept in the session, so they are in the next cookie."""

    def __init__(self, session: MutableMapping[str, Any]) -> None:
        self._session = session

    @property
    def quantities(self) -> dict[str, int]:
        """Return the quantity of each item."""
        return dict(self._session.get("cart") or {})

    @property
    def count(self) -> int:
        """Return the number of pieces."""
        return sum(self.quantities.values())

    def add(self, item_id: str, quantity: int = 1) -> bool:
        """Add pieces of an item; return whether the cart had room for them."""
        return self.put(item_id, self.quantities.get(item_id, 0) + quantity)

    def put(self, item_id: str, quantity: int) -> bool:
        """Set the quantity of an item, 0 to remove it; return whether the cart had room for it."""
        quantities = self.quantities
        if quantity <= 0:
            quantities.pop(item_id, None)
        elif item_id not in quantities and len(quantities) >= MAX_LINES:
            return False
        else:
            quantities[item_id] = min(quantity, MAX_QUANTITY)
        self._session["cart"] = quantities
        return True

    def clear(self) -> None:
        """Remove everything."""
        self._session["cart"] = {}

    def lines(self, products: Mapping[str, Product]) -> list[Line]:
        """Return the lines of the products that are known and can be bought."""
        return [
            Line(products[item_id], quantity)
            for item_id, quantity in self.quantities.items()
            if item_id in products and products[item_id].available
        ]


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a cart, in cents of one currency."""

    goods: int
    delivery: int
    currency: str = "EUR"

    @property
    def goods_text(self) -> str:
        """Return the price of the goods for people."""
        return money(self.goods, self.currency)

    @property
    def delivery_text(self) -> str:
        """Return the price of the delivery for people."""
        return money(self.delivery, self.currency) if self.delivery else "free"

    @property
    def text(self) -> str:
        """Return the whole price for people."""
        return money(self.goods + self.delivery, self.currency)


def totals(lines: list[Line], *, express: bool = False) -> Totals:
    """Return the sums: standard delivery is free from `FREE_DELIVERY_CENTS` on."""
    goods = sum(line.cents for line in lines)
    standard = 0 if goods >= FREE_DELIVERY_CENTS or not lines else STANDARD_CENTS
    currency = lines[0].product.currency if lines else "EUR"
    return Totals(goods, EXPRESS_CENTS if express and lines else standard, currency)
