"""Experiments: defined, started and stopped, and the results of their variants with intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin, Viewer, Visitor
from services.dashboard.domain.experiments import (
    SURFACES,
    VARIANTS,
    Scale,
    definition,
    event_types,
    form_of,
    results,
)
from services.dashboard.pages.site import Page, PageRoutes, get, post

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Event = Annotated[str, Query(max_length=256)]
UNAVAILABLE = 503


class ExperimentPages(PageRoutes):
    """The routes of experiments."""

    @get("/experiments")
    async def experiments(self, request: Request, visitor: Viewer) -> Response:
        """Show all experiments."""
        return await self._list(request, visitor, form_of(None))

    @post("/experiments")
    async def define(self, request: Request, visitor: Admin) -> Response:
        """Define an experiment or its next version; a refused form is shown with its fields."""
        body = definition(visitor.text)
        reply = await self._site.change(
            visitor,
            "define experiment",
            body["name"][:100],
            lambda: self._services.call(visitor.tenant, "POST", "router", "/v1/experiments", json=body),
            after=body,
        )
        if not reply.ok:
            form = {name: value for name, value in visitor.form.items() if isinstance(value, str)}
            status = UNAVAILABLE if reply.is_absent else reply.status
            return await self._list(request, visitor, form, reply.problem or "", status)
        version = reply.get("version")
        notice = f"Version {version} is a draft. Start it to show its variants."
        if reply.status == 200:
            notice = f"Nothing changed: version {version} is equal."
        return self._site.redirect(request, f"/experiments/{body['name']}", notice)

    @get("/experiments/{name}")
    async def experiment(
        self, request: Request, name: Name, visitor: Viewer, version: Version = None, event: Event = ""
    ) -> Response:
        """Show an experiment with its results for one type of events."""
        reply, strategies = await asyncio.gather(
            self._services.get(visitor.tenant, "router", f"/v1/experiments/{name}", version=version),
            self._strategies(visitor.tenant),
        )
        variants = reply.get("variants", [])
        events = event_types(variants)
        shown = event if event in events else next(iter(events), "purchase")
        rows = results(variants, shown)
        form = form_of(reply.body) if reply.ok else form_of(None)
        return self._site.render(
            request, visitor, "experiment.html", name=name, reply=reply, version=version, events=events,
            event=shown, rows=rows, scale=Scale.of(row.rate for row in rows),
            **self._form(form, strategies),
        )  # fmt: skip

    @post("/experiments/{name}/start")
    async def start(self, request: Request, name: Name, visitor: Admin) -> Response:
        """Start the newest version."""
        return await self._switch(request, visitor, name, "start")

    @post("/experiments/{name}/stop")
    async def stop(self, request: Request, name: Name, visitor: Admin) -> Response:
        """Stop the version that runs."""
        return await self._switch(request, visitor, name, "stop")

    @post("/experiments/{name}/delete")
    async def delete(self, request: Request, name: Name, visitor: Admin) -> Response:
        """Delete the drafts of an experiment."""
        path = f"/v1/experiments/{name}"
        before = await self._services.get(visitor.tenant, "router", path)
        reply = await self._site.change(
            visitor,
            "delete drafts of experiment",
            name,
            lambda: self._services.call(visitor.tenant, "DELETE", "router", path),
            before={"version": before.get("version"), "status": before.get("status")} if before.ok else None,
        )
        if not reply.ok:
            return self._site.redirect(request, f"/experiments/{name}", reply.problem or "", "error")
        return self._site.redirect(request, "/experiments", f"The drafts of {name} are deleted.")

    async def _list(
        self,
        request: Request,
        visitor: Visitor,
        form: Mapping[str, str],
        problem: str = "",
        status: int = 200,
    ) -> Response:
        """Show all experiments and the form of a new one, with the reason why it was refused."""
        listed, strategies = await asyncio.gather(
            self._services.get(visitor.tenant, "router", "/v1/experiments"), self._strategies(visitor.tenant)
        )
        return self._site.render(
            request, visitor, "experiments.html", status, listed=listed, problem=problem,
            **self._form(form, strategies),
        )  # fmt: skip

    @staticmethod
    def _form(form: Mapping[str, str], strategies: list[str]) -> dict[str, Any]:
        return {"form": form, "surfaces": SURFACES, "form_rows": range(VARIANTS), "strategies": strategies}

    async def _strategies(self, tenant: str) -> list[str]:
        """Return the recipes of the newest generation, which variants can name."""
        reply = await self._services.get(tenant, "loader", "/v1/generations", limit=1)
        generations = reply.get("generations", [])
        return sorted(recipe["recipe"] for recipe in generations[0]["recipes"]) if generations else []

    async def _switch(
        self, request: Request, visitor: Visitor, name: str, change: Literal["start", "stop"]
    ) -> Response:
        path = f"/v1/experiments/{name}"
        before = await self._services.get(visitor.tenant, "router", path)
        state = {"version": before.get("version"), "status": before.get("status")}
        reply = await self._site.change(
            visitor,
            f"{change} experiment",
            name,
            lambda: self._services.call(visitor.tenant, "POST", "router", f"{path}/{change}"),
            before=state if before.ok else None,
            after={**state, "status": "running" if change == "start" else "stopped"},
        )
        if not reply.ok:
            return self._site.redirect(request, f"/experiments/{name}", reply.problem or "", "error")
        version = reply.get("version")
        notice = (
            f"Version {version} runs."
            if change == "start"
            else "The experiment is stopped; its results stay."
        )
        return self._site.redirect(request, f"/experiments/{name}", notice)


PAGE = Page("experiments", "Experiments", "Learn", "viewer", ExperimentPages.routes)
