"""Training: runs with their steps, generations of lists with activation and comparison."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin, PageError, Viewer, Visitor
from services.dashboard.domain.generations import compared, durations, serving
from services.dashboard.pages.site import Page, PageRoutes, get, post
from services.dashboard.store.services import Reply

RUNS, GENERATIONS = 30, 30
"""Rows of the page; arbitrary."""

Number = Annotated[int, Path(ge=1, le=2**62)]
Compared = Annotated[int | None, Query(ge=1, le=2**62)]


class TrainingPages(PageRoutes):
    """The routes of runs and generations."""

    @get("/training")
    async def training(self, request: Request, visitor: Viewer) -> Response:
        """Show runs and generations."""
        runs, generations = await self._lists(visitor)
        times, series = durations(runs.get("runs", []))
        return self._site.render(
            request, visitor, "training.html", runs=runs, generations=generations, times=times,
            series=series, active=serving(generations.get("generations", [])),
        )  # fmt: skip

    @post("/training/runs")
    async def start(self, request: Request, visitor: Admin) -> Response:
        """Start a run."""
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

    @get("/training/runs/{run}")
    async def run(self, request: Request, run: Number, visitor: Viewer) -> Response:
        """Show the steps of a run."""
        reply = await self._services.get(visitor.tenant, "trainer", f"/v1/runs/{run}")
        return self._site.render(request, visitor, "run.html", run=run, reply=reply)

    @get("/training/compare")
    async def compare(
        self, request: Request, visitor: Viewer, a: Compared = None, b: Compared = None
    ) -> Response:
        """Compare two generations; raise PageError 400 without two numbers."""
        if a is None or b is None:
            raise PageError(400, "TwoGenerations", "Choose two generations to compare.")
        left, right, runs = await asyncio.gather(
            self._generation(visitor, a),
            self._generation(visitor, b),
            self._services.get(visitor.tenant, "trainer", "/v1/runs", limit=500),
        )
        by_number: dict[int, Any] = {run["run"]: run for run in runs.get("runs", [])}
        return self._site.render(
            request, visitor, "compare.html", first=a, second=b, left=left, right=right,
            recipes=compared(left.get("recipes", []), right.get("recipes", [])),
            left_run=by_number.get(a), right_run=by_number.get(b),
        )  # fmt: skip

    @get("/training/generations/{generation}")
    async def generation(self, request: Request, generation: Number, visitor: Viewer) -> Response:
        """Show a generation with its rejected lines."""
        reply = await self._generation(visitor, generation)
        return self._site.render(request, visitor, "generation.html", generation=generation, reply=reply)

    @post("/training/generations/{generation}/activate")
    async def activate(self, request: Request, generation: Number, visitor: Admin) -> Response:
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

    async def _lists(self, visitor: Visitor) -> tuple[Reply, Reply]:
        return await asyncio.gather(
            self._services.get(visitor.tenant, "trainer", "/v1/runs", limit=RUNS),
            self._services.get(visitor.tenant, "loader", "/v1/generations", limit=GENERATIONS),
        )

    async def _generation(self, visitor: Visitor, generation: int) -> Reply:
        return await self._services.get(visitor.tenant, "loader", f"/v1/generations/{generation}")


PAGE = Page("training", "Training", "Learn", "viewer", TrainingPages.routes)
