"""Experiments: defined, started and stopped, and the results of their variants with intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin, Viewer, Visitor
from services.dashboard.domain.experiment_days import course, group_sizes
from services.dashboard.domain.experiment_forms import (
    DESIGN_FIELDS,
    DESIGNS,
    SURFACES,
    VARIANTS,
    definition,
    form_of,
)
from services.dashboard.domain.experiments import Scale, metric_view, preference_of
from services.dashboard.pages.site import Page, PageRoutes, get, post

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
VariantName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Metric = Annotated[str, Query(max_length=63)]
Change = Literal["start", "pause", "stop", "decide", "archive"]
Switch = Literal["disable", "enable"]
UNAVAILABLE = 503
SHOWN_CHANGES = 50
SHOWN_DAYS = 60
NOTICES = {
    "start": "Version {version} runs.",
    "pause": "Version {version} is paused: everybody gets the usual answer, and what people do still counts.",
    "stop": "The experiment is stopped; its results stay.",
    "decide": "The decision is recorded, and version {version} has ended.",
    "archive": "The experiment is archived; its results stay.",
    "disable": "The variant is disabled. Results count the people who came before.",
    "enable": "The variant is enabled. Define a new version to count anew.",
}
"""The notice of a page after a change."""


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
        self, request: Request, name: Name, visitor: Viewer, version: Version = None, metric: Metric = ""
    ) -> Response:
        """Show an experiment with its results for one metric."""
        path = f"/v1/experiments/{name}"
        reply, results, series, changes, strategies = await asyncio.gather(
            self._services.get(visitor.tenant, "router", path, version=version),
            self._services.get(visitor.tenant, "router", f"{path}/results", version=version),
            self._services.get(
                visitor.tenant, "router", f"{path}/series", version=version, metric=metric or None
            ),
            self._services.get(visitor.tenant, "router", f"{path}/changes", limit=SHOWN_CHANGES),
            self._strategies(visitor.tenant),
        )
        shown = metric_view(results.body, reply.get("variants", []), metric) if results.ok else None
        part = results.body.get("triggered") if results.ok else None
        triggered = metric_view(part, reply.get("variants", []), metric) if part else None
        preference = preference_of(results.body, metric) if results.ok else None
        rows = [] if shown is None else shown.rows
        drawn = [*rows, *(triggered.rows if triggered else ())]
        points = course(series.body)[:SHOWN_DAYS] if series.ok else []
        health = results.body["health"] if results.ok else {}
        names = [row.name for row in rows]
        form = form_of(reply.body) if reply.ok else form_of(None)
        return self._site.render(
            request, visitor, "experiment.html", name=name, reply=reply, version=version, results=results,
            metric=shown, triggered=triggered, preference=preference,
            scale=Scale.of(row.lift for row in drawn),
            changes=changes.rows, course=points, course_scale=Scale.of(row.lift for row in points),
            days=group_sizes(health, "day", names)[:SHOWN_DAYS],
            devices=group_sizes(health, "device", names), **self._form(form, strategies),
        )  # fmt: skip

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

    @post("/experiments/{name}/{change}")
    async def change(self, request: Request, name: Name, change: Change, visitor: Admin) -> Response:
        """Change the state of an experiment."""
        return await self._change(request, visitor, name, change)

    @post("/experiments/{name}/variants/{variant}/{switch}")
    async def switch(
        self, request: Request, name: Name, variant: VariantName, switch: Switch, visitor: Admin
    ) -> Response:
        """Disable a variant, or enable it again."""
        return await self._change(request, visitor, name, f"variants/{variant}/{switch}")

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
        rows = range(VARIANTS)
        return {
            "form": form,
            "surfaces": SURFACES,
            "designs": DESIGNS,
            "design_fields": DESIGN_FIELDS,
            "form_rows": rows,
            "strategies": strategies,
        }

    async def _strategies(self, tenant: str) -> list[str]:
        """Return the recipes of the newest generation, which variants can name."""
        reply = await self._services.get(tenant, "loader", "/v1/generations", limit=1)
        generations = reply.get("generations", [])
        return sorted(recipe["recipe"] for recipe in generations[0]["recipes"]) if generations else []

    async def _change(self, request: Request, visitor: Visitor, name: str, change: str) -> Response:
        """Change the state of an experiment, and say what follows; a refusal is shown on its page."""
        path = f"/v1/experiments/{name}"
        before = await self._services.get(visitor.tenant, "router", path)
        state = {part: before.get(part) for part in ("version", "status", "disabled")}
        body = None
        if change == "decide":
            body = {"variant": visitor.text("variant") or None, "reason": visitor.text("reason")}
        action = change.rpartition("/")[2]
        reply = await self._site.change(
            visitor,
            f"{action} {'variant' if '/' in change else 'experiment'}",
            name,
            lambda: self._services.call(visitor.tenant, "POST", "router", f"{path}/{change}", json=body),
            before=state if before.ok else None,
            after=body or {"change": change},
        )
        if not reply.ok:
            return self._site.redirect(request, f"/experiments/{name}", reply.problem or "", "error")
        notice = NOTICES[action].format(version=reply.get("version"))
        return self._site.redirect(request, f"/experiments/{name}", notice)


PAGE = Page("experiments", "Experiments", "Learn", "viewer", ExperimentPages.routes)
