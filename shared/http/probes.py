"""The routes for monitoring in every process: probes and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.http.runtime import Part


def probes(service: str, parts: Sequence[Part]) -> APIRouter:
    """Return `/livez`, `/readyz`, `/metrics`, and `/health`: `/readyz` without the names of parts."""
    router = APIRouter(include_in_schema=False)

    def report(checks: Mapping[str, str | None]) -> Response:
        failing = {name: reason for name, reason in checks.items() if reason}
        body = {
            "status": "failing" if failing else "ok",
            "checks": {name: reason or "ok" for name, reason in checks.items()},
        }
        return Response(orjson.dumps(body), 503 if failing else 200, media_type="application/json")

    @router.get("/livez")
    async def livez() -> Response:
        return report({part.name: part.alive() for part in parts})

    def readiness() -> dict[str, str | None]:
        return {part.name: part.alive() or part.ready() for part in parts}

    @router.get("/readyz")
    async def readyz() -> Response:
        return report(readiness())

    @router.get("/health")  # the default path of many load balancers, and of dashboards of existing shops
    async def health() -> Response:
        is_failing = any(readiness().values())
        body = {"status": "failing" if is_failing else "healthy", "service": service}
        return Response(orjson.dumps(body), 503 if is_failing else 200, media_type="application/json")

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router
