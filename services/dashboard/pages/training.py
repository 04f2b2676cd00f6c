"""Training: runs with their steps, solution versions with metrics, generations to compare and activate."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin, PageError, Viewer, Visitor
from services.dashboard.domain.generations import compared, durations, serving
from services.dashboard.domain.solution_versions import (
    PREFERRED,
    Row,
    compared_metrics,
    metric_names,
    metric_series,
    metric_title,
    solution_versions,
)
from services.dashboard.pages.schedules import KINDS
from services.dashboard.pages.site import Page, PageRoutes, get, post
from services.dashboard.store.services import Reply

RUNS, GENERATIONS, JOBS, VERSIONS = 30, 30, 200, 20
"""Rows of the page; arbitrary."""

Number = Annotated[int, Path(ge=1, le=2**62)]
Metric = Annotated[str, Query(max_length=100)]
Compared = Annotated[int | None, Query(ge=1, le=2**62)]


class TrainingPages(PageRoutes):
    """The routes of runs and generations."""

    @get("/training")
    async def training(self, request: Request, visitor: Viewer, metric: Metric = "") -> Response:
        """Show runs, solution versions with one metric over time, and generations."""
        runs, generations, jobs = await asyncio.gather(
            self._services.get(visitor.tenant, "trainer", "/v1/runs", limit=RUNS),
            self._services.get(visitor.tenant, "loader", "/v1/generations", limit=GENERATIONS),
            self._services.get(visitor.tenant, "engine", "/v1/status", limit=JOBS),
        )
        rows = runs.get("runs", [])
        names = metric_names(rows)
        shown = next((name for name in (metric, PREFERRED, *names) if name in names), "")
        return self._site.render(
            request, visitor, "training.html", runs=runs, generations=generations, jobs=jobs,
            durations=durations(rows), kinds=KINDS, active=serving(generations.get("generations", [])),
            metric=shown, metrics=names, metric_title=metric_title, quality=metric_series(rows, shown),
            versions=solution_versions(jobs.get("jobs", []))[:VERSIONS],
        )  # fmt: skip

    @post("/training/runs")
    async def start(self, request: Request, visitor: Admin) -> Response:
        """Start a run."""
        reason = visitor.text("reason")[:200] or "started with the dashboard"
        body = {"reason": reason, "kind": visitor.text("kind") or "full"}
        reply = await self._site.change(
            visitor,
            "start training",
            "run",
            lambda: self._services.call(visitor.tenant, "POST", "trainer", "/v1/runs", json=body),
            after=body,
        )
        if not reply.ok:
            return self._site.redirect(request, "/training", reply.problem or "", "error")
        joined = "; it joins one that was queued" if reply.get("joined") else ""
        return self._site.redirect(request, "/training", f"Run {reply.get('run')} is queued{joined}.")

    @get("/training/runs/{run}")
    async def run(self, request: Request, run: Number, visitor: Viewer) -> Response:
        """Show the steps of a run."""
        reply = await self._run(visitor, run)
        return self._site.render(request, visitor, "run.html", run=run, reply=reply)

    @post("/training/runs/{run}/cancel")
    async def cancel(self, request: Request, run: Number, visitor: Admin) -> Response:
        """Cancel a run."""
        reason = "with the dashboard"
        reply = await self._site.change(
            visitor,
            "cancel training",
            str(run),
            lambda: self._services.call(
                visitor.tenant, "POST", "trainer", f"/v1/runs/{run}/cancel", json={"reason": reason}
            ),
            after={"status": "cancelled"},
        )
        if not reply.ok:
            return self._site.redirect(request, f"/training/runs/{run}", reply.problem or "", "error")
        return self._site.redirect(request, f"/training/runs/{run}", f"Run {run} is cancelled.")

    @get("/training/compare")
    async def compare(
        self, request: Request, visitor: Viewer, a: Compared = None, b: Compared = None
    ) -> Response:
        """Compare two generations; raise PageError 400 without two numbers."""
        if a is None or b is None:
            raise PageError(400, "TwoGenerations", "Choose two generations to compare.")
        left, right, left_run, right_run = await asyncio.gather(
            self._generation(visitor, a),
            self._generation(visitor, b),
            self._run(visitor, a),
            self._run(visitor, b),
        )
        return self._site.render(
            request, visitor, "compare.html", first=a, second=b, left=left, right=right,
            recipes=compared(left.get("recipes", []), right.get("recipes", [])),
            left_run=left_run, right_run=right_run, metric_title=metric_title,
            metrics=compared_metrics(_document(left_run), _document(right_run)),
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

    async def _run(self, visitor: Visitor, number: int) -> Reply:
        return await self._services.get(visitor.tenant, "trainer", f"/v1/runs/{number}")

    async def _generation(self, visitor: Visitor, generation: int) -> Reply:
        return await self._services.get(visitor.tenant, "loader", f"/v1/generations/{generation}")


def _document(reply: Reply) -> Row | None:
    return reply.body if reply.ok else None


PAGE = Page("training", "Training", "Learn", "viewer", TrainingPages.routes)
