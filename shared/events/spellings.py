"""How fields of items and users are spelled by storefronts, files and Personalize's schemas.

The events ItemChanged and UserChanged, and the views sync.items_v1 and sync.users_v1, know a few fields by
name; anything else that was said is an attribute under its sender's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

ITEM_FIELDS = ("name", "category", "price", "currency", "available", "created_at")
USER_FIELDS = ("name", "city", "province", "country")

_NOISE = re.compile(r"[\W_]+")
_ITEM_SPELLINGS = {name.replace("_", ""): name for name in ITEM_FIELDS} | {
    "title": "name",
    "productname": "name",
    "itemname": "name",
    "categoryl1": "category",
    "productcategory": "category",
    "creationtimestamp": "created_at",
    "currencycode": "currency",
    "instock": "available",
}
_USER_SPELLINGS = {name: name for name in USER_FIELDS} | {
    "fullname": "name",
    "customername": "name",
    "state": "province",
    "region": "province",
}
_SPELLINGS = {"item": _ITEM_SPELLINGS, "user": _USER_SPELLINGS}


def folded(name: str) -> str:
    """A name without case, spaces and punctuation: `Customer ID` and CUSTOMER_ID are `customerid`."""
    return _NOISE.sub("", name.lower())


def field_of(kind: Literal["item", "user"], name: str) -> str | None:
    """The field that a name means, such as `category` for CATEGORY_L1; None when it is an attribute."""
    return _SPELLINGS[kind].get(folded(name))


def columns_of_fields(kind: Literal["item", "user"], columns: Iterable[str]) -> dict[str, str]:
    """Return, for each field of the shop's state, the one column of a dataset that stands for it.

    Of several columns that mean a field (CATEGORY_L1, PRODUCT_CATEGORY) it is the one with the field's own
    name, else the first; the others are columns like any other.
    """
    chosen: dict[str, str] = {}
    for column in columns:
        field = field_of(kind, column)
        if field is not None and (field not in chosen or folded(column) == folded(field)):
            chosen[field] = column
    return chosen
