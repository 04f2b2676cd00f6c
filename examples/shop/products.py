"""Products as the pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue; `price` is in units of the currency."""

    item_id: str
    name: str
    price: float | None = None
    currency: str = "EUR"
    category: str | None = None
    design: str | None = None
    available: bool = True

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the product of an item of `GET /v1/items`."""
        design = item["attributes"].get("design") or item["attributes"].get("brand")
        return cls(
            item_id=item["item_id"],
            name=item["name"] or item["item_id"],
            price=item["price"],
            currency=item["currency"] or "EUR",
            category=(item["category"] or "").split("|")[0] or None,
            design=str(design) if design else None,
            available=item["available"],
        )

    @classmethod
    def from_recommendation(cls, row: Mapping[str, Any]) -> Self:
        """Return the product of a row of a placement's answer."""
        return cls(row["product_id"], row.get("product_name") or row["product_id"], row.get("price"))

    @property
    def price_text(self) -> str:
        """Return the price for people."""
        return "" if self.price is None else money(round(self.price * 100), self.currency)


def money(cents: int, currency: str = "EUR") -> str:
    """Return an amount for people, such as €1,204.50."""
    return f"{_SYMBOLS.get(currency, currency + ' ')}{cents / 100:,.2f}"
