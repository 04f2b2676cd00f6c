"""Live: the events and answers of the last minutes, as they pass."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query
from fastapi.routing import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Viewer
from services.dashboard.pages.site import Page, Site
from services.dashboard.store.item_names import item_names

EVENTS, ANSWERS = 60, 40
"""Rows of the page; arbitrary."""
WINDOW = timedelta(minutes=30)
"""The age of the oldest event on the page; arbitrary."""
RATE = timedelta(minutes=1)
"""The time over which the numbers of events are counted."""


def routes(site: Site) -> APIRouter:
    """Return the routes of the page."""
    pages = site.router()

    @pages.get("/live")
    async def live(
        request: Request,
        visitor: Viewer,
        subject: Annotated[str, Query(max_length=256)] = "",
        paused: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    ) -> Response:
        now, subject = datetime.now(UTC), subject.strip()
        events, answers = await asyncio.gather(
            site.services.get(
                visitor.tenant,
                "tracker",
                "/v1/events/latest",
                since=(now - WINDOW).isoformat(),
                limit=1000 if subject else 300,
            ),
            site.services.get(
                visitor.tenant, "recommender", "/v1/recommendations", limit=100 if subject else ANSWERS
            ),
        )
        shown = [event for event in events.get("events", []) if _is_of(event, subject)]
        item_ids = [event["item_id"] for event in shown[:EVENTS]]
        return site.render(
            request,
            visitor,
            "live.html",
            events=events,
            answers=answers,
            shown_events=shown[:EVENTS],
            shown_answers=[row for row in answers.get("recommendations", []) if _is_of(row, subject)][
                :ANSWERS
            ],
            names=await item_names(site.services, visitor.tenant, item_ids),
            rates=_rates(shown, now),
            subject=subject,
            paused=paused,
        )

    return pages


def _is_of(row: dict[str, Any], subject: str) -> bool:
    return not subject or subject in {row["user_id"], row["session_id"]}


def _rates(events: list[dict[str, Any]], now: datetime) -> list[tuple[str, int]]:
    """Return how many events of each type were stored in the last minute, the most frequent first."""
    recent = [row for row in events if datetime.fromisoformat(row["stored_at"]) > now - RATE]
    return Counter(row["event_type"] for row in recent).most_common(5)


PAGE = Page("live", "Live", "Watch", "viewer", routes)
