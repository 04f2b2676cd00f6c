"""What a shop's backend reports: a view, an item put into the cart, a purchase of several items."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from services.tracker.domain.reception import Reception, with_adjustment
from shared.events import InteractionRecorded, derived_id
from shared.events.values import LONGEST_ID, Name, Number, Text

MAX_ITEMS = 500


class _Tracked(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", coerce_numbers_to_str=True
    )


class ProductData(_Tracked):
    """The product as the page showed it. It is kept with the event and never changes the item."""

    name: Text | None = None
    category: Text | None = None
    price: Number | None = None


class _OfSomebody(_Tracked):
    user_id: Name | None = None
    session_id: Name | None = None
    id: Name | None = Field(None, description="makes a repeated request count once")
    timestamp: datetime | None = None
    recommendation_id: Name | None = None

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.user_id is None and self.session_id is None and getattr(self, "order_id", None) is None:
            message = "userId or sessionId is needed"
            raise ValueError(message)
        return self


class TrackView(_OfSomebody):
    """A product was looked at."""

    product_id: Name
    product_data: ProductData | None = None


class TrackCart(TrackView):
    """A product was put into the cart."""

    quantity: Number = 1.0


class PurchasedItem(_Tracked):
    """One line of a purchase."""

    product_id: Name
    quantity: Number = 1.0
    price: Number | None = None


class TrackPurchase(_OfSomebody):
    """Products were bought. With `orderId` the same order from another source counts once."""

    items: tuple[PurchasedItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    order_id: Name | None = None


def viewed(request: TrackView, reception: Reception) -> list[InteractionRecorded]:
    """The view of a product."""
    return [_of_product(request, "view", None, reception)]


def put_into_cart(request: TrackCart, reception: Reception) -> list[InteractionRecorded]:
    """The product that went into the cart."""
    return [_of_product(request, "add_to_cart", request.quantity, reception)]


def purchased(request: TrackPurchase, reception: Reception) -> list[InteractionRecorded]:
    """One purchase per line."""
    occurred_at, claimed = reception.moment(request.timestamp)
    session_id = request.session_id
    if request.user_id is None and session_id is None:
        session_id = f"order:{request.order_id}"[:256]
    return [
        InteractionRecorded(
            event_id=_line_id(request, item, number, reception),
            tenant=reception.tenant,
            occurred_at=occurred_at,
            received_at=reception.received_at,
            user_id=request.user_id,
            session_id=session_id,
            event_type="purchase",
            sender_type="purchase",
            item_id=item.product_id,
            quantity=item.quantity,
            price=item.price,
            order_id=request.order_id,
            recommendation_id=request.recommendation_id,
            properties=with_adjustment(None, claimed),
            source="backend",
        )
        for number, item in enumerate(request.items, 1)
    ]


def _line_id(request: TrackPurchase, item: PurchasedItem, number: int, reception: Reception) -> str:
    if request.order_id is not None:
        return reception.order_line_id(request.order_id, item.product_id)
    if request.id is not None:
        if len(request.items) == 1:
            return request.id
        own = f"{request.id}#{number}"
        return own if len(own) <= LONGEST_ID else derived_id(reception.tenant, own)
    return reception.event_id(
        request.timestamp,
        request.user_id,
        request.session_id,
        "purchase",
        item.product_id,
        item.quantity,
        item.price,
        request.recommendation_id,
        number,
    )


def _of_product(
    request: TrackView, event_type: str, quantity: float | None, reception: Reception
) -> InteractionRecorded:
    occurred_at, claimed = reception.moment(request.timestamp)
    product = request.product_data or ProductData()
    properties: dict[str, Any] = {
        name: value
        for name, value in (("name", product.name), ("category", product.category))
        if value is not None
    }
    return InteractionRecorded(
        event_id=request.id
        or reception.event_id(
            request.timestamp,
            request.user_id,
            request.session_id,
            event_type,
            request.product_id,
            quantity,
            product.price,
            request.recommendation_id,
            properties,
        ),
        tenant=reception.tenant,
        occurred_at=occurred_at,
        received_at=reception.received_at,
        user_id=request.user_id,
        session_id=request.session_id,
        event_type=event_type,
        sender_type=event_type,
        item_id=request.product_id,
        quantity=quantity,
        price=product.price,
        recommendation_id=request.recommendation_id,
        properties=with_adjustment(properties, claimed),
        source="backend",
    )
