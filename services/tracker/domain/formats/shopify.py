"""Events of the script in a Shopify theme: what a widget showed, and what was done with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.interactions import interaction
from services.tracker.domain.properties import with_claimed_time
from services.tracker.domain.wire_format import RequestFormat
from shared.events import InteractionRecorded
from shared.events.values import Name, Number, Text

PATHS = ("/shopify/events", "/api/v1/shopify/events")


class WidgetEvent(BaseModel):
    """A recommended product was shown in a widget, clicked, added to the cart or bought."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    event_type: Name = Field(description="impression, click, add_to_cart or purchase")
    occurred_at: datetime | None = None
    mg_session_id: Name | None = Field(None, description="the visitor's session")
    user_id: Name | None = Field(None, description="the customer, if known")
    recommended_product_id: Name
    recommended_position: int | None = Field(None, ge=1, le=1_000, description="in the widget, from 1")
    recommendation_id: Name | None = Field(None, description="that of the answer that was shown")
    rec_request_id: Name | None = Field(
        None, description="the script's own id of a request; stands in for recommendation_id"
    )
    source_widget: Text | None = Field(None, description="the widget, such as product-page")
    seed_product_id: Name | None = Field(None, description="the product of the page")
    order_id: Name | None = Field(
        None, description="of a purchase: the same order from another source is counted once"
    )
    quantity: Number | None = None
    price: Number | None = None

    @model_validator(mode="after")
    def _has_visitor(self) -> Self:
        if self.mg_session_id is None and self.user_id is None:
            message = "mg_session_id or user_id is needed"
            raise ValueError(message)
        return self


def parse_widget_event(request: WidgetEvent, context: IngestContext) -> list[InteractionRecorded]:
    """Return the interaction with the recommended product."""
    event_type = context.canonical_type(request.event_type)
    occurred_at, changed_from = context.event_time(request.occurred_at)
    properties = request.model_dump(
        include={"source_widget", "seed_product_id", "recommended_position", "rec_request_id"},
        exclude_none=True,
    )
    return [
        interaction(
            event_id=_event_id(request, event_type, properties, context),
            tenant=context.tenant,
            occurred_at=occurred_at,
            received_at=context.received_at,
            user_id=request.user_id,
            session_id=request.mg_session_id,
            event_type=event_type,
            sender_type=request.event_type,
            item_id=request.recommended_product_id,
            quantity=request.quantity,
            price=request.price,
            order_id=request.order_id,
            recommendation_id=request.recommendation_id or request.rec_request_id,
            properties=with_claimed_time(properties, changed_from),
            source="events",
        )
    ]


def _event_id(
    request: WidgetEvent, event_type: str, properties: dict[str, Any], context: IngestContext
) -> str:
    if event_type == "purchase" and request.order_id is not None:
        return context.order_line_id(request.order_id, request.recommended_product_id)
    return context.event_id(
        request.occurred_at,
        request.user_id,
        request.mg_session_id,
        event_type,
        request.recommended_product_id,
        request.quantity,
        request.price,
        request.recommendation_id,
        properties,
    )


FORMATS = tuple(
    RequestFormat(
        path,
        f"shopifyEvents{suffix}",
        "A recommended product was shown, clicked, added to the cart or bought.",
        "Shopify",
        "shopify",
        WidgetEvent,
        parse_widget_event,
    )
    for path, suffix in zip(PATHS, ("", "V1"), strict=True)
)
