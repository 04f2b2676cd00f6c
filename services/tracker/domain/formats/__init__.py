"""The wire formats of events. A new format is a module here and a row in one of these tables."""

from __future__ import annotations

from services.tracker.domain.formats import (
    backend,
    cloud_events,
    google_analytics,
    native,
    posthog,
    rudderstack,
    segment,
    shopify,
    snowplow,
)
from services.tracker.domain.wire_format import ClientRoute, EventFormat, RequestFormat

EVENT_FORMATS: tuple[EventFormat, ...] = (cloud_events.FORMAT, segment.FORMAT, native.FORMAT)
"""Formats of `POST /v1/events`: an event is parsed by the first format that matches it."""

REQUEST_FORMATS: tuple[RequestFormat, ...] = (
    backend.VIEW,
    backend.CART,
    backend.PURCHASE,
    *shopify.FORMATS,
)
"""Formats that have a route of their own."""

CLIENT_ROUTES: tuple[ClientRoute, ...] = (
    *segment.ROUTES,
    *rudderstack.ROUTES,
    *posthog.ROUTES,
    *snowplow.ROUTES,
    *google_analytics.ROUTES,
)
"""Routes that the clients of vendors call by themselves."""
