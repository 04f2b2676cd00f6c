"""Customers: history, what placements recommend to them and why, others of their city or with their items."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Query
from fastapi.routing import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Viewer
from services.dashboard.pages.site import Page, Site
from services.dashboard.store.event_lake import DAYS, LIMIT, similar_customers, similar_customers_query
from services.dashboard.store.item_names import item_names
from services.dashboard.store.services import Reply

EVENTS, CITY_USERS, USERS = 50, 8, 50
"""Rows of the page; arbitrary."""
QUERY_SECONDS = 20.0
"""Time limit of a query of the event lake, which starts a process and may wait for two others; arbitrary."""

Id = Annotated[str, Query(max_length=256)]


class Customers:
    """Reads what the services know of a customer or of a session."""

    def __init__(self, site: Site) -> None:
        self._services = site.services

    async def placements(self, tenant: str) -> tuple[Reply, list[str]]:
        """Return the reply with the placements that can be requested, and their names."""
        listed = await self._services.get(tenant, "recommender", "/api/v1/placements")
        return listed, [entry["name"] for entry in listed.get("placements", [])]

    async def answers(self, tenant: str, names: list[str], **subject: Any) -> dict[str, Reply]:
        """Return the explained answer of each placement to a visitor; nothing of it is recorded."""
        subject = {name: value for name, value in subject.items() if value}
        replies = await asyncio.gather(
            *(
                self._services.get(tenant, "recommender", f"/v1/placements/{name}/explanation", **subject)
                for name in names
            )
        )
        return dict(zip(names, replies, strict=True))

    async def facts(self, tenant: str, user_id: str, session_id: str) -> dict[str, Reply]:
        """Return the profile and the events of a user, or the events of a session."""
        subject = {"user_id": user_id} if user_id else {"session_id": session_id}
        events = self._services.get(tenant, "tracker", "/v1/events", limit=EVENTS, **subject)
        if not user_id:
            return {"events": await events}
        profile = self._services.get(tenant, "sync", f"/v1/users/{quote(user_id, safe='')}")
        return dict(zip(("events", "profile"), await asyncio.gather(events, profile), strict=True))

    async def neighbours(self, tenant: str, profile: Reply | None, user_id: str) -> list[str]:
        """Return other customers of the customer's city."""
        city = profile.get("city") if profile else None
        if not city:
            return []
        path = "/api/v1/personalize/recommendations/by-location"
        reply = await self._services.get(
            tenant, "recommender", path, city=city, limit_users=CITY_USERS, limit=1
        )
        customers = [str(customer.get("customer_id")) for customer in reply.get("users", [])]
        return [customer for customer in customers if customer != user_id]

    async def similar(self, tenant: str, user_id: str) -> Reply:
        """Return the reply of the event lake with the customers who share items with a customer."""
        body = {"query": similar_customers_query(user_id, datetime.now(UTC).date()), "max_rows": LIMIT}
        return await self._services.call(
            tenant, "POST", "analytics", "/v1/sql", json=body, seconds=QUERY_SECONDS
        )


def routes(site: Site) -> APIRouter:
    """Return the routes of the page."""
    pages, customers = site.router(), Customers(site)

    @pages.get("/customers")
    async def customer(
        request: Request, visitor: Viewer, user_id: Id = "", session_id: Id = "", after: Id = ""
    ) -> Response:
        user_id, session_id = user_id.strip(), session_id.strip()
        values: dict[str, Any] = {"user_id": user_id, "session_id": session_id}
        if not user_id and not session_id:
            reply = await site.services.get(visitor.tenant, "sync", "/v1/users", after=after, limit=USERS)
            values |= {"reply": reply, "after": after, "most": USERS}
            return site.render(request, visitor, "customers.html", **values)
        (listed, names), facts = await asyncio.gather(
            customers.placements(visitor.tenant), customers.facts(visitor.tenant, user_id, session_id)
        )
        profile = facts.get("profile")
        answers, neighbours = await asyncio.gather(
            customers.answers(visitor.tenant, names, user_id=user_id, session_id=session_id),
            customers.neighbours(visitor.tenant, profile, user_id),
        )
        item_ids = [event["item_id"] for event in facts["events"].get("events", [])]
        return site.render(
            request,
            visitor,
            "customer.html",
            listed=listed,
            answers=answers,
            neighbours=neighbours,
            events=facts["events"],
            profile=profile,
            names=await item_names(site.services, visitor.tenant, item_ids),
            **values,
        )

    @pages.get("/customers/similar")
    async def similar(
        request: Request, visitor: Viewer, user_id: Annotated[str, Query(min_length=1, max_length=256)]
    ) -> Response:
        reply = await customers.similar(visitor.tenant, user_id)
        rows = similar_customers(reply.get("rows", []))
        return site.render(
            request, visitor, "similar_customers.html", user_id=user_id, reply=reply, rows=rows, days=DAYS
        )

    return pages


PAGE = Page("customers", "Customers", "Shop", "viewer", routes)
