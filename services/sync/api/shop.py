"""Routes of orders, items and users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import APIRouter, Depends, Path

from services.sync.api.responses import ItemDetails, OrdersResponse, UserDetails
from shared.auth import Principal
from shared.errors import ApiError
from shared.events.values import Name
from shared.http.runtime import ERRORS, ErrorBody

if TYPE_CHECKING:
    from services.sync.store import Catalogue, Orders
    from shared.auth import Authenticator

Identifier = Annotated[Name, Path()]
Row = TypeVar("Row")

_NOT_FOUND = {**ERRORS, 404: {"model": ErrorBody, "description": "There is no object with this id."}}


def shop_router(authenticator: Authenticator, orders: Orders, catalogue: Catalogue) -> APIRouter:
    """Return the routes of orders, items and users."""
    router = APIRouter(prefix="/v1", tags=["shop"], responses=_NOT_FOUND)
    caller = Depends(authenticator.require("admin", "read"))
    editor = Depends(authenticator.require("catalogue"))

    @router.get("/orders/{order_id:path}", operation_id="get_order")
    async def get_order(order_id: Identifier, principal: Principal = caller) -> OrdersResponse:
        """Return an order with its lines, and the cancellation with the same id if there is one."""
        rows = _existing(
            await orders.by_id(principal.own_tenant, order_id),
            "UnknownOrder",
            f"There is no order {order_id}.",
        )
        versions = await orders.versions(principal.own_tenant, order_id)
        return OrdersResponse.model_validate({"orders": rows, "versions": versions})

    @router.get("/items/{item_id:path}", operation_id="get_item")
    async def get_item(item_id: Identifier, principal: Principal = caller) -> ItemDetails:
        """Return an item with its fields and attributes."""
        row = await catalogue.item(principal.own_tenant, item_id)
        return ItemDetails.model_validate(_existing(row, "UnknownItem", f"There is no item {item_id}."))

    @router.delete("/items/{item_id:path}", operation_id="delete_item", status_code=204)
    async def delete_item(item_id: str, principal: Principal = editor) -> None:
        """Delete an item: it is no longer recommended. Deleting it again changes nothing.

        A later file, order or PutItems call with the item creates it again.
        """
        await catalogue.delete_item(principal.own_tenant, item_id)

    @router.get("/users/{user_id:path}", operation_id="get_user")
    async def get_user(user_id: Identifier, principal: Principal = caller) -> UserDetails:
        """Return a user with their fields and attributes."""
        row = await catalogue.user(principal.own_tenant, user_id)
        return UserDetails.model_validate(_existing(row, "UnknownUser", f"There is no user {user_id}."))

    return router


def _existing(row: Row | None, code: str, detail: str) -> Row:
    """Return the row. Raises ApiError 404 if it is None or empty."""
    if not row:
        raise ApiError(404, code, detail)
    return row
