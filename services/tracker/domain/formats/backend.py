"""Requests of a shop's backend: a view, an item added to the cart, a purchase of several items."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from services.tracker.domain.event_ids import numbered_id
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.interactions import interaction
from services.tracker.domain.properties import with_claimed_time
from services.tracker.domain.wire_format import RequestFormat
from shared.events import InteractionRecorded
from shared.events.values import Name, Number, Text

MAX_ITEMS = 500
"""Lines of one purchase. Arbitrary."""


class _CamelCase(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", coerce_numbers_to_str=True
    )


class ProductData(_CamelCase):
    """The product as the page showed it. It is stored with the event and does not change the item."""

    name: Text | None = None
    category: Text | None = None
    price: Number | None = None


class _UserRequest(_CamelCase):
    user_id: Name | None = None
    session_id: Name | None = None
    id: Name | None = Field(None, description="an id of the sender: a repeated request is counted once")
    timestamp: datetime | None = None
    recommendation_id: Name | None = None

    @model_validator(mode="after")
    def _has_user_or_session(self) -> Self:
        if self.user_id is None and self.session_id is None and getattr(self, "order_id", None) is None:
            message = "userId or sessionId is needed"
            raise ValueError(message)
        return self


class TrackView(_UserRequest):
    """A product was viewed."""

    product_id: Name
    product_data: ProductData | None = None


class TrackCart(TrackView):
    """A product was added to the cart."""

    quantity: Number = 1.0


class PurchasedItem(_CamelCase):
    """One line of a purchase."""

    product_id: Name
    quantity: Number = 1.0
    price: Number | None = None


class TrackPurchase(_UserRequest):
    """Products were bought. With `orderId`, the same order from another source is counted once."""

    items: tuple[PurchasedItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    order_id: Name | None = None


def parse_view(request: TrackView, context: IngestContext) -> list[InteractionRecorded]:
    """Return the view of the product."""
    return [_product_event(request, "view", None, context)]


def parse_cart(request: TrackCart, context: IngestContext) -> list[InteractionRecorded]:
    """Return the addition of the product to the cart."""
    return [_product_event(request, "add_to_cart", request.quantity, context)]


def parse_purchase(request: TrackPurchase, context: IngestContext) -> list[InteractionRecorded]:
    """Return a purchase for each line; without user and session they belong to the session `order:<id>`."""
    occurred_at, changed_from = context.event_time(request.timestamp)
    session_id = request.session_id
    if request.user_id is None and session_id is None:
        session_id = f"order:{request.order_id}"[:256]
    return [
        interaction(
            event_id=_line_id(request, item, number, context),
            tenant=context.tenant,
            occurred_at=occurred_at,
            received_at=context.received_at,
            user_id=request.user_id,
            session_id=session_id,
            event_type="purchase",
            sender_type="purchase",
            item_id=item.product_id,
            quantity=item.quantity,
            price=item.price,
            order_id=request.order_id,
            recommendation_id=request.recommendation_id,
            properties=with_claimed_time(None, changed_from),
            source="backend",
        )
        for number, item in enumerate(request.items, 1)
    ]


def _line_id(request: TrackPurchase, item: PurchasedItem, number: int, context: IngestContext) -> str:
    if request.order_id is not None:
        return context.order_line_id(request.order_id, item.product_id)
    if request.id is not None:
        if len(request.items) == 1:
            return request.id
        return numbered_id(context.tenant, request.id, number)
    return context.event_id(
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


def _product_event(
    request: TrackView, event_type: str, quantity: float | None, context: IngestContext
) -> InteractionRecorded:
    occurred_at, changed_from = context.event_time(request.timestamp)
    product = request.product_data or ProductData()
    properties = product.model_dump(include={"name", "category"}, exclude_none=True)
    return interaction(
        event_id=request.id or _product_event_id(request, event_type, quantity, properties, context),
        tenant=context.tenant,
        occurred_at=occurred_at,
        received_at=context.received_at,
        user_id=request.user_id,
        session_id=request.session_id,
        event_type=event_type,
        sender_type=event_type,
        item_id=request.product_id,
        quantity=quantity,
        price=product.price,
        recommendation_id=request.recommendation_id,
        properties=with_claimed_time(properties, changed_from),
        source="backend",
    )


def _product_event_id(
    request: TrackView,
    event_type: str,
    quantity: float | None,
    properties: dict[str, Any],
    context: IngestContext,
) -> str:
    return context.event_id(
        request.timestamp,
        request.user_id,
        request.session_id,
        event_type,
        request.product_id,
        quantity,
        request.product_data.price if request.product_data else None,
        request.recommendation_id,
        properties,
    )


def _format(name: str, schema: type[BaseModel], parse: Any, summary: str) -> RequestFormat:
    path, operation_id = f"/api/personalize/track/{name}", f"track{name.title()}"
    return RequestFormat(path, operation_id, summary, "Shop backend", "backend", schema, parse)


VIEW = _format("view", TrackView, parse_view, "A product was viewed.")
CART = _format("cart", TrackCart, parse_cart, "A product was added to the cart.")
PURCHASE = _format("purchase", TrackPurchase, parse_purchase, "Products were bought.")
