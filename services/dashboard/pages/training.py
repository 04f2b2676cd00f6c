"""Training: runs with their steps, generations of lists with activation and comparison."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends, Path, Query
from fastapi.routing import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import PageError, Visitor
from services.dashboard.domain.generations import compared, durations, serving
from services.dashboard.pages.site import Page, Site
from services.dashboard.store.services import Reply

RUNS, GENERATIONS = 30, 30
"""Rows of the page; arbitrary."""

Number = Annotated[int, Path(ge=1, le=2**62)]
Compared = Annotated[int | None, Query(ge=1, le=2**62)]


class TrainingPages:
    """The routes of runs and generations."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._services = site.services

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = self._site.router()
        viewer = Depends(self._site.guard.require("viewer"))
        admin = Depends(self._site.guard.require("admin"))

        @routes.get("/training")
        async def training(request: Request, visitor: Visitor = viewer) -> Response:
            runs, generations = await self._lists(visitor)
            times, series = durations(runs.get("runs", []))
            return self._site.render(
                request, visitor, "training.html", runs=runs, generations=generations, times=times,
                series=series, active=serving(generations.get("generations", [])),
            )  # fmt: skip

        @routes.post("/training/runs")
        async def start(request: Request, visitor: Visitor = admin) -> Response:
            return await self._start(request, visitor)

        @routes.get("/training/runs/{run}")
        async def run(request: Request, run: Number, visitor: Visitor = viewer) -> Response:
            reply = await self._services.get(visitor.tenant, "trainer", f"/v1/runs/{run}")
            return self._site.render(request, visitor, "run.html", run=run, reply=reply)

        @routes.get("/training/compare")
        async def compare(
            request: Request, a: Compared = None, b: Compared = None, visitor: Visitor = viewer
        ) -> Response:
            return await self._compare(request, visitor, a, b)

        @routes.get("/training/generations/{generation}")
        async def generation(request: Request, generation: Number, visitor: Visitor = viewer) -> Response:
            reply = await self._generation(visitor, generation)
            return self._site.render(request, visitor, "generation.html", generation=generation, reply=reply)

        @routes.post("/training/generations/{generation}/activate")
        async def activate(request: Request, generation: Number, visitor: Visitor = admin) -> Response:
            return await self._activate(request, visitor, generation)

        return routes

    async def _lists(self, visitor: Visitor) -> tuple[Reply, Reply]:
        return await asyncio.gather(
            self._services.get(visitor.tenant, "trainer", "/v1/runs", limit=RUNS),
            self._services.get(visitor.tenant, "loader", "/v1/generations", limit=GENERATIONS),
        )

    async def _generation(self, visitor: Visitor, generation: int) -> Reply:
        return await self._services.get(visitor.tenant, "loader", f"/v1/generations/{generation}")

    async def _start(self, request: Request, visitor: Visitor) -> Response:
        reason = visitor.text("reason")[:200] or "started with the dashboard"
        reply = await self._site.change(
            visitor,
            "start training",
            "run",
            lambda: self._services.call(
                visitor.tenant, "POST", "trainer", "/v1/runs", json={"reason": reason}
            ),
            after={"reason": reason},
        )
        if not reply.ok:
            return self._site.redirect(request, "/training", reply.problem or "", "error")
        joined = "; it joins one that was queued" if reply.get("joined") else ""
        return self._site.redirect(request, "/training", f"Run {reply.get('run')} is queued{joined}.")

    async def _compare(
        self, request: Request, visitor: Visitor, first: int | None, second: int | None
    ) -> Response:
        """Compare two generations; raise PageError 400 without two numbers."""
        if first is None or second is None:
            raise PageError(400, "TwoGenerations", "Choose two generations to compare.")
        left, right, runs = await asyncio.gather(
            self._generation(visitor, first),
            self._generation(visitor, second),
            self._services.get(visitor.tenant, "trainer", "/v1/runs", limit=500),
        )
        by_number: dict[int, Any] = {run["run"]: run for run in runs.get("runs", [])}
        return self._site.render(
            request, visitor, "compare.html", first=first, second=second, left=left, right=right,
            recipes=compared(left.get("recipes", []), right.get("recipes", [])),
            left_run=by_number.get(first), right_run=by_number.get(second),
        )  # fmt: skip

    async def _activate(self, request: Request, visitor: Visitor, generation: int) -> Response:
        """Activate a generation, forwards or back."""
        listed = await self._services.get(visitor.tenant, "loader", "/v1/generations", limit=GENERATIONS)
        before = serving(listed.get("generations", []))
        force = visitor.text("force") == "yes"
        path = f"/v1/generations/{generation}/activate"
        is_older = bool(before) and generation < max(before.values())
        reply = await self._site.change(
            visitor,
            "roll back generation" if is_older else "activate generation",
            str(generation),
            lambda: self._services.call(visitor.tenant, "POST", "loader", path, json={"force": force}),
            before=before,
            after=dict.fromkeys(before, generation) if before else {"generation": generation},
        )
        if not reply.ok:
            return self._site.redirect(request, "/training", reply.problem or "", "error")
        if reply.get("status") == "loading":
            notice = f"Generation {generation} is loaded again, and then activated."
        else:
            notice = f"Generation {generation} is served now (activation {reply.get('activation')})."
        return self._site.redirect(request, "/training", notice)


def routes(site: Site) -> APIRouter:
    """Return the routes of the page."""
    return TrainingPages(site).router()


PAGE = Page("training", "Training", "Learn", "viewer", routes)
