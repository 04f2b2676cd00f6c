"""Order lines as columns of numbers, with the names that the numbers stand for."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.analytics.domain.order_outcomes import outcome_of
from services.analytics.domain.selections import Selection, folded

Codes = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

DAY_SECONDS: Final = 86_400
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


@dataclass(slots=True)
class Names:
    """Texts and the numbers that stand for them; -1 stands for none."""

    texts: list[str] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)

    def code(self, text: str | None) -> int:
        """Return the number of a text, a new one if it has none yet."""
        if text is None:
            return -1
        code = self.codes.get(text)
        if code is None:
            code = self.codes[text] = len(self.texts)
            self.texts.append(text)
        return code

    def text(self, code: int) -> str | None:
        """Return the text of a number."""
        return None if code < 0 else self.texts[code]


@dataclass(frozen=True, slots=True)
class Item:
    """An item as the catalogue or else its newest order line describes it."""

    name: str | None = None
    category: str | None = None
    price: float | None = None
    brand: str | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as the newest order describes it."""

    name: str | None = None
    city: str | None = None
    province: str | None = None
    phone: str | None = None


@dataclass(slots=True)
class Directory:
    """The names in the columns of lines, and what is known of items and customers."""

    orders: Names = field(default_factory=Names)
    items: Names = field(default_factory=Names)
    customers: Names = field(default_factory=Names)
    categories: Names = field(default_factory=Names)
    provinces: Names = field(default_factory=Names)
    cities: Names = field(default_factory=Names)
    sources: Names = field(default_factory=Names)
    statuses: Names = field(default_factory=Names)
    imports: Names = field(default_factory=Names)
    described_items: dict[str, Item] = field(default_factory=dict)
    described_customers: dict[str, Customer] = field(default_factory=dict)
    first_order_times: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Seconds since 1970 of each customer's first order, by the customer's code."""

    def item(self, code: int) -> tuple[str, Item]:
        """Return the id of an item, and its description."""
        item_id = self.items.texts[code]
        return item_id, self.described_items.get(item_id, Item())

    def customer(self, code: int) -> tuple[str, Customer]:
        """Return the id of a customer, and its description."""
        user_id = self.customers.texts[code]
        return user_id, self.described_customers.get(user_id, Customer())


@dataclass(frozen=True, slots=True)
class OrderLines:
    """Lines of orders: one element of each array a line, in the order of time.

    The codes are int32[L], of the directory's names. `units` and `amounts`, float64[L], are quantities and
    quantity × price; those of lines that are not bought are what was ordered, and `bought` is false. `times`
    is int64[L], seconds since 1970.
    """

    orders: Codes
    items: Codes
    customers: Codes
    categories: Codes
    provinces: Codes
    cities: Codes
    sources: Codes
    statuses: Codes
    imports: Codes
    units: Numbers
    amounts: Numbers
    times: npt.NDArray[np.int64]
    bought: Mask
    directory: Directory

    def __len__(self) -> int:
        return len(self.orders)

    def only(self, mask: Mask) -> OrderLines:
        """Return the lines that a mask selects."""
        columns = (column.name for column in fields(self) if column.name != "directory")
        return replace(self, **{name: getattr(self, name)[mask] for name in columns})

    def mask_of(self, selection: Selection, today: date) -> Mask:
        """Return which lines are in a selection; its period is seen from a day."""
        mask = np.ones(len(self), bool)
        first, last = selection.days(today)
        if first is not None:
            mask &= self.times >= _midnight(first)
        if last is not None:
            mask &= self.times < _midnight(last) + DAY_SECONDS
        directory = self.directory
        for names, codes, chosen in (
            (directory.categories, self.categories, selection.categories),
            (directory.provinces, self.provinces, (selection.province,)),
            (directory.cities, self.cities, (selection.city,)),
            (directory.sources, self.sources, (selection.source,)),
        ):
            if any(chosen):
                mask &= np.isin(codes, _codes(names, chosen))
        if selection.delivered_only:
            delivered = [
                code for text, code in directory.statuses.codes.items() if outcome_of(text) == "fulfilled"
            ]
            mask &= np.isin(self.statuses, [-1, *delivered])
        return mask

    @property
    def days(self) -> npt.NDArray[np.int64]:
        """Return the day of each line, int64[L], counted from 1970."""
        return self.times // DAY_SECONDS


class LinesBuilder:
    """Collects rows of order lines, and makes columns of them."""

    def __init__(self) -> None:
        self._directory = Directory()
        self._codes = [array("i") for _ in range(9)]
        self._units, self._amounts = array("d"), array("d")
        self._times, self._bought = array("q"), array("b")

    def describe_item(self, item_id: str, item: Item) -> None:
        """Note an item of the catalogue, before the first line."""
        self._directory.described_items[item_id] = item

    def add(self, rows: Iterable[Mapping[str, Any]], erased: Mapping[str, datetime]) -> None:
        """Add rows in the order of time. Customers who are erased are guests in what they ordered before."""
        directory = self._directory
        names = (
            directory.orders,
            directory.items,
            directory.customers,
            directory.categories,
            directory.provinces,
            directory.cities,
            directory.sources,
            directory.statuses,
            directory.imports,
        )
        for row in rows:
            ordered_at: datetime = row["ordered_at"]
            user_id: str | None = row["user_id"]
            if user_id is not None and user_id in erased and ordered_at <= erased[user_id]:
                user_id = None
            item = self._describe(row, user_id)
            values = (
                row["order_id"],
                row["item_id"],
                user_id,
                item.category,
                row["province"],
                row["city"],
                row["channel"],
                row["status"],
                row["source"],
            )
            for codes, known, value in zip(self._codes, names, values, strict=True):
                codes.append(known.code(value))
            remaining = row["quantity"] if row["remaining"] is None else row["remaining"]
            bought = row["is_bought"] and remaining > 0
            units = remaining if bought else row["quantity"]
            self._units.append(units)
            self._amounts.append(units * (row["price"] or 0.0))
            self._times.append(int(ordered_at.timestamp()))
            self._bought.append(bought)

    def _describe(self, row: Mapping[str, Any], user_id: str | None) -> Item:
        """Note what a line says of its item and its customer; return the item."""
        directory, item_id = self._directory, row["item_id"]
        if user_id is not None:
            phone = user_id.partition("_")[0]
            directory.described_customers[user_id] = Customer(
                row["customer_name"], row["city"], row["province"], phone if _is_phone(phone) else None
            )
        item = directory.described_items.get(item_id)
        if item is None or (item.category is None and row["category"] is not None):
            known = item or Item()
            item = Item(
                known.name or row["name"],
                row["category"],
                row["price"] if known.price is None else known.price,
                known.brand,
            )
            directory.described_items[item_id] = item
        return item

    def build(self) -> OrderLines:
        """Return the columns."""
        orders, items, customers, categories, provinces, cities, sources, statuses, imports = (
            np.array(codes, np.int32) for codes in self._codes
        )
        bought, times = np.array(self._bought, bool), np.array(self._times, np.int64)
        first = np.full(len(self._directory.customers.texts), np.iinfo(np.int64).max)
        known = bought & (customers >= 0)
        np.minimum.at(first, customers[known], times[known])
        self._directory.first_order_times = first
        return OrderLines(
            orders=orders,
            items=items,
            customers=customers,
            categories=categories,
            provinces=provinces,
            cities=cities,
            sources=sources,
            statuses=statuses,
            imports=imports,
            units=np.array(self._units, np.float64),
            amounts=np.array(self._amounts, np.float64),
            times=times,
            bought=bought,
            directory=self._directory,
        )


def day_of_number(number: int) -> date:
    """Return the day that is counted from 1970."""
    return date.fromordinal(_EPOCH_DAY + number)


def instant_of(seconds: int) -> str:
    """Return a time in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _midnight(day: date) -> int:
    return (day.toordinal() - _EPOCH_DAY) * DAY_SECONDS


def _codes(names: Names, chosen: Iterable[str | None]) -> list[int]:
    texts = {text for text in chosen if text is not None}
    return [code for text, code in names.codes.items() if folded(text) in texts]


def _is_phone(text: str) -> bool:
    return len(text) >= 7 and text.lstrip("+").isdigit()
