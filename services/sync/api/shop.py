"""Orders, items and users, for people who want to see what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path

from services.sync.api.authorization import reader
from services.sync.api.responses import ItemShown, OrdersShown, UserShown
from shared.auth import Principal
from shared.errors import ApiError
from shared.events.values import Name
from shared.http.runtime import ERRORS, ErrorBody

if TYPE_CHECKING:
    from services.sync.store import Catalogue, Orders
    from shared.auth import Authenticator

Identifier = Annotated[Name, Path()]

_NOT_FOUND = {**ERRORS, 404: {"model": ErrorBody, "description": "Nothing is known under this id."}}


def shop_router(authenticator: Authenticator, orders: Orders, catalogue: Catalogue) -> APIRouter:
    """The routes of the shop."""
    router = APIRouter(prefix="/v1", tags=["shop"], responses=_NOT_FOUND)
    caller = Depends(reader(authenticator))
    editor = Depends(authenticator.require("catalogue"))

    @router.get("/orders/{order_id:path}", operation_id="get_order")
    async def get_order(order_id: Identifier, principal: Principal = caller) -> OrdersShown:
        """An order with its lines, and a cancellation of the same id if there is one."""
        found = await orders.by_id(principal.own_tenant, order_id)
        if not found:
            raise _unknown("UnknownOrder", f"There is no order {order_id}.")
        return OrdersShown.model_validate({"orders": found})

    @router.get("/items/{item_id:path}", operation_id="get_item")
    async def get_item(item_id: Identifier, principal: Principal = caller) -> ItemShown:
        """An item: its name, category, price and whatever else was said of it last."""
        found = await catalogue.item(principal.own_tenant, item_id)
        if found is None:
            raise _unknown("UnknownItem", f"There is no item {item_id}.")
        return ItemShown.model_validate(found)

    @router.delete("/items/{item_id:path}", operation_id="delete_item", status_code=204)
    async def delete_item(item_id: str, principal: Principal = editor) -> None:
        """Delete an item: recommenders leave it out from now on. The same again changes nothing.

        Whatever is said of it later, by a file, an order or PutItems, makes it anew.
        """
        await catalogue.delete_item(principal.own_tenant, item_id)

    @router.get("/users/{user_id:path}", operation_id="get_user")
    async def get_user(user_id: Identifier, principal: Principal = caller) -> UserShown:
        """A user: name, place and whatever else was said of them last."""
        found = await catalogue.user(principal.own_tenant, user_id)
        if found is None:
            raise _unknown("UnknownUser", f"There is no user {user_id}.")
        return UserShown.model_validate(found)

    return router


def _unknown(code: str, detail: str) -> ApiError:
    return ApiError(404, code, detail)
