"""The query parameters of a placement, each under its snake_case and camelCase names."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypedDict, TypeVar

from fastapi import Depends, Query
from pydantic import StringConstraints

from services.recommender.api.parameters import LIMIT_NAMES, MAX_LIMIT
from shared.errors import ApiError
from shared.events.envelope import Name, Text
from shared.events.values import LONGEST_ID

MAX_CART_ITEMS = 100
"""Arbitrary: more than most carts have."""
MAX_CART_CHARACTERS = 8_192
MAX_COLUMNS = 10
"""The number of metadata columns that Amazon Personalize returns."""

Value = TypeVar("Value", str, int)

FIELDS: Final = {
    "user_id": "user_id",
    "userId": "user_id",
    "session_id": "session_id",
    "sessionId": "session_id",
    "item_id": "item_id",
    "itemId": "item_id",
    "product_id": "item_id",
    "productId": "item_id",
    "cart": "cart",
    "category": "category",
    "city": "city",
    "province": "province",
    "country": "country",
    "explain": "explain",
    "columns": "columns",
    **dict.fromkeys(LIMIT_NAMES, "limit"),
}
"""The parameters by name, and the field of `PlacementRequest` that each stands for."""


class RequestFields(TypedDict):
    """The fields of `PlacementRequest` that a query string or a body holds."""

    user_id: str | None
    session_id: str | None
    item_id: str | None
    cart: tuple[str, ...]
    category: str | None
    city: str | None
    province: str | None
    country: str | None
    limit: int | None
    explain: bool
    columns: tuple[str, ...]


_Id = Name | Literal[""] | None
_Area = Annotated[Annotated[Text, StringConstraints(max_length=LONGEST_ID)] | None, Query()]
_Limit = Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description="the same as limit")]


def _request_fields(  # noqa: PLR0917 - one for each query parameter
    user_id: Annotated[_Id, Query(description="the user; without one, give the session")] = None,
    user_id_camel: Annotated[_Id, Query(alias="userId", description="the same as user_id")] = None,
    session_id: Annotated[
        _Id, Query(description="the session; its events count at once, also before and during a login")
    ] = None,
    session_id_camel: Annotated[_Id, Query(alias="sessionId", description="the same as session_id")] = None,
    item_id: Annotated[_Id, Query(description="the item that the page shows")] = None,
    item_id_camel: Annotated[_Id, Query(alias="itemId", description="the same as item_id")] = None,
    product_id: Annotated[_Id, Query(description="the same as item_id")] = None,
    product_id_camel: Annotated[_Id, Query(alias="productId", description="the same as item_id")] = None,
    cart: Annotated[
        Annotated[Text, StringConstraints(max_length=MAX_CART_CHARACTERS)] | None,
        Query(description=f"the items in the cart, separated by commas; at most {MAX_CART_ITEMS}"),
    ] = None,
    category: _Area = None,
    city: _Area = None,
    province: _Area = None,
    country: _Area = None,
    limit: Annotated[
        int | None,
        Query(ge=1, le=MAX_LIMIT, description="maximum number of items; by default that of the placement"),
    ] = None,
    num_results: _Limit = None,
    num_results_camel: Annotated[
        int | None, Query(alias="numResults", ge=1, le=MAX_LIMIT, description="the same as limit")
    ] = None,
    explain: Annotated[bool, Query(description="say why each item is there, and what was left out")] = False,  # noqa: FBT002 - a query parameter
    columns: Annotated[
        Annotated[Text, StringConstraints(max_length=MAX_CART_CHARACTERS)] | None,
        Query(
            description="columns of the items that the answer contains, separated by commas, such as "
            f"url,image_url; at most {MAX_COLUMNS}"
        ),
    ] = None,
) -> RequestFields:
    """Return the fields of a request; raise ApiError (400) if names of one parameter differ in value."""
    return RequestFields(
        user_id=_merged("user_id", user_id, user_id_camel),
        session_id=_merged("session_id", session_id, session_id_camel),
        item_id=_merged("item_id", item_id, item_id_camel, product_id, product_id_camel),
        cart=cart_items(cart or ""),
        category=category or None,
        city=city or None,
        province=province or None,
        country=country or None,
        limit=_merged("limit", limit, num_results, num_results_camel),
        explain=explain,
        columns=column_names(columns or ""),
    )


Fields = Annotated[RequestFields, Depends(_request_fields)]


def cart_items(text: str) -> tuple[str, ...]:
    """Return the item ids of a cart; raise ApiError (400) if there are too many, or one is too long."""
    return _separated("cart", text, MAX_CART_ITEMS, "item")


def column_names(text: str) -> tuple[str, ...]:
    """Return the names of columns; raise ApiError (400) if there are too many, or one is too long."""
    return _separated("columns", text, MAX_COLUMNS, "column")


def _separated(parameter: str, text: str, limit: int, noun: str) -> tuple[str, ...]:
    """Return the values between commas; raise ApiError (400) for more than `limit`, or a long one."""
    values = tuple(value for part in text.split(",") if (value := part.strip()))
    if len(values) > limit:
        detail = f"{parameter}: give at most {limit} {noun}s, not {len(values)}."
        raise ApiError(400, "InvalidRequest", detail)
    if any(len(value) > LONGEST_ID for value in values):
        detail = f"{parameter}: an id or a name has at most {LONGEST_ID} characters."
        raise ApiError(400, "InvalidRequest", detail)
    return values


def _merged(field: str, *values: Value | None) -> Value | None:
    """Return the value of a parameter with several names; None if it has none, or is empty."""
    distinct = {value for value in values if value}
    if len(distinct) > 1:
        names = ", ".join(name for name, stands_for in FIELDS.items() if stands_for == field)
        detail = f"{names} are names of one parameter: give one of them."
        raise ApiError(400, "InvalidRequest", detail)
    return distinct.pop() if distinct else None
