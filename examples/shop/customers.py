"""The customers that a visitor may log in as, each with a sentence about what they bought."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from examples.shop.endcap import Endcap, Remembered

SHOWN = 12
_READ = 36
"""Customers whose orders are read to choose those that are shown."""
_REFRESH_SECONDS = 600.0
_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer with a summary of their orders."""

    user_id: str
    name: str
    place: str
    orders: int
    sentence: str

    @property
    def first_name(self) -> str:
        """Return the first word of the name."""
        return self.name.split()[0]

    @property
    def initials(self) -> str:
        """Return the first letters of the name."""
        return "".join(word[0] for word in self.name.split()[:2]).upper()


class Customers:
    """The customers of the catalogue, read from Endcap every ten minutes."""

    def __init__(self, endcap: Endcap) -> None:
        self._endcap = endcap
        self.shown = Remembered(self._read, _REFRESH_SECONDS)
        self._known: dict[str, Remembered[Customer | None]] = {}

    async def by_id(self, user_id: str) -> Customer | None:
        """Return a customer, or None. Raises Unavailable."""
        if len(self._known) > _KNOWN:
            self._known.clear()

        async def read() -> Customer | None:
            user = await self._endcap.user(user_id)
            return None if user is None else await self._customer(user)

        return await self._known.setdefault(user_id, Remembered(read)).get()

    async def _read(self) -> list[Customer]:
        """Return customers with orders, those with the most different histories first."""
        customers = await asyncio.gather(*map(self._customer, await self._endcap.users(_READ)))
        return varied([customer for customer in customers if customer.orders])[:SHOWN]

    async def _customer(self, user: Mapping[str, Any]) -> Customer:
        orders = [order for order in await self._endcap.orders(user["user_id"]) if order["kind"] == "order"]
        return Customer(
            user_id=user["user_id"],
            name=user["name"] or user["user_id"],
            place=", ".join(filter(None, (user["city"], user["country"]))),
            orders=len(orders),
            sentence=sentence(line for order in orders for line in order["lines"]),
        )


def varied(customers: list[Customer]) -> list[Customer]:
    """Return the customers in an order that alternates the categories which they like most."""
    by_like: dict[str, list[Customer]] = {}
    for customer in sorted(customers, key=lambda customer: -customer.orders):
        by_like.setdefault(customer.sentence.partition(",")[0].partition("mostly ")[2], []).append(customer)
    rounds = max(map(len, by_like.values()), default=0)
    return [group[turn] for turn in range(rounds) for group in by_like.values() if turn < len(group)]


def sentence(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return what somebody bought, from their order lines, newest first."""
    bought = [line for line in lines if line["product_name"]]
    if not bought:
        return "Has not bought anything yet."
    liked = Counter(line["category"] for line in bought if line["category"]).most_common(2)
    names = list(dict.fromkeys(line["product_name"] for line in bought))[:2]
    likes = " and ".join(name for name, _ in liked)
    number = f"{len(bought)} things" if len(bought) > 1 else "one thing"
    return f"Bought {number}{f', mostly {likes}' if likes else ''}; last: {' and '.join(names)}."
