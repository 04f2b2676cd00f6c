"""Routes that list items, categories, users and orders: what a storefront shows, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import StringConstraints

from services.sync.api.responses import Categories, ItemPage, OrdersResponse, UserPage
from services.sync.store.listings import ItemQuery, ItemSort
from shared.auth import Principal
from shared.events.values import LONGEST_ID, Name, Text
from shared.http.runtime import ERRORS

if TYPE_CHECKING:
    from services.sync.store.listings import Listings
    from shared.auth import Authenticator

MAX_OFFSET = 10_000
"""Items before a page. Arbitrary: Postgres reads them all, and searches reach the others."""

MAX_IDS = 200
"""Items that a request may name: those of the largest page."""

_Words = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
_Category = Annotated[Text, StringConstraints(min_length=1, max_length=LONGEST_ID)]
_After = Annotated[Text, StringConstraints(max_length=LONGEST_ID)]


def listings_router(authenticator: Authenticator, listings: Listings) -> APIRouter:
    """Return the routes of lists."""
    router = APIRouter(prefix="/v1", tags=["shop"], responses=ERRORS)
    caller = Depends(authenticator.require("admin", "read"))

    @router.get("/items", operation_id="list_items")
    async def list_items(
        principal: Principal = caller,
        item_ids: Annotated[
            list[Name] | None,
            Query(alias="id", max_length=MAX_IDS, description="only these items; repeat it for each"),
        ] = None,
        category: Annotated[_Category | None, Query(description="letter case does not count")] = None,
        search: Annotated[
            _Words | None, Query(description="each word must begin a word of the item's name or category")
        ] = None,
        available: Annotated[
            bool | None, Query(description="only items that can, or can't, be bought")
        ] = None,
        sort: Annotated[ItemSort, Query(description="-price is the highest price first")] = "id",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="items before the page")] = 0,
    ) -> ItemPage:
        """Return a page of the items that match, and the number of all that match."""
        chosen = None if item_ids is None else tuple(item_ids)
        query = ItemQuery(category, search, available, sort, limit, offset, chosen)
        rows, total = await listings.items(principal.own_tenant, query)
        return ItemPage.model_validate({"items": rows, "total": total})

    @router.get("/categories", operation_id="list_categories")
    async def list_categories(principal: Principal = caller) -> Categories:
        """Return the categories of the items that can be bought, with their numbers of items."""
        rows = await listings.categories(principal.own_tenant)
        return Categories.model_validate({"categories": rows})

    @router.get("/users", operation_id="list_users")
    async def list_users(
        principal: Principal = caller,
        after: Annotated[_After, Query(description="the last user id of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> UserPage:
        """Return users sorted by id; the next page begins after the last one."""
        rows = await listings.users(principal.own_tenant, after=after, limit=limit)
        return UserPage.model_validate({"users": rows})

    @router.get("/orders", operation_id="list_orders")
    async def list_orders(
        user_id: Annotated[Name, Query(description="the user whose orders are listed")],
        principal: Principal = caller,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> OrdersResponse:
        """Return the newest orders and cancellations of a user with their lines."""
        rows = await listings.orders(principal.own_tenant, user_id, limit)
        return OrdersResponse.model_validate({"orders": rows})

    return router
