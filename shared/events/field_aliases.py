"""The names that storefronts, files and schemas of Personalize use for fields of items and users.

ItemChanged and UserChanged, and the views sync.items_v1 and sync.users_v1, have a few fields by name; every
other property is an attribute under its sender's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

ITEM_FIELDS = ("name", "category", "price", "currency", "available", "created_at")
USER_FIELDS = ("name", "city", "province", "country")

_PUNCTUATION = re.compile(r"[\W_]+")
_ITEM_ALIASES = {name.replace("_", ""): name for name in ITEM_FIELDS} | {
    "title": "name",
    "productname": "name",
    "itemname": "name",
    "categoryl1": "category",
    "productcategory": "category",
    "creationtimestamp": "created_at",
    "currencycode": "currency",
    "instock": "available",
}
_USER_ALIASES = {name: name for name in USER_FIELDS} | {
    "fullname": "name",
    "customername": "name",
    "state": "province",
    "region": "province",
}
_ALIASES = {"item": _ITEM_ALIASES, "user": _USER_ALIASES}


def normalized_name(name: str) -> str:
    """Return a name in lower case without punctuation: `Customer ID` and CUSTOMER_ID are `customerid`."""
    return _PUNCTUATION.sub("", name.lower())


def field_of(kind: Literal["item", "user"], name: str) -> str | None:
    """Return the field that a name stands for, such as `category` for CATEGORY_L1; None for an attribute."""
    return _ALIASES[kind].get(normalized_name(name))


def columns_of_fields(kind: Literal["item", "user"], columns: Iterable[str]) -> dict[str, str]:
    """Return field → column for the fields of the shop's state that a dataset has.

    If several columns stand for a field (CATEGORY_L1, PRODUCT_CATEGORY), it is the one with the field's own
    name, else the first; the others remain attributes.
    """
    chosen: dict[str, str] = {}
    for column in columns:
        field = field_of(kind, column)
        if field is not None and (field not in chosen or normalized_name(column) == normalized_name(field)):
            chosen[field] = column
    return chosen
