"""System: processes, consumers, outboxes and stores, from the probes and metrics of all processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Viewer
from services.dashboard.domain.exposition import Samples, parse
from services.dashboard.domain.system import Process, consumers, findings, outboxes, stores
from services.dashboard.pages.site import Page, Site
from services.dashboard.settings import PROCESSES

if TYPE_CHECKING:
    from services.dashboard.settings import Settings
    from services.dashboard.store.services import Reply, Services

STORES = ("postgres", "kafka", "redis", "s3")
_OFFSETS = {"serve": 0, "worker": 100, "relay": 200}


class Probes:
    """Reads the probes and metrics of every process."""

    def __init__(self, services: Services, settings: Settings) -> None:
        self._services = services
        self._prometheus = settings.prometheus_url
        self._addresses = dict(_addresses(settings))

    async def processes(self) -> list[Process]:
        """Return the state of each process, in the order of the services."""
        reads = (self._process(name, url) for name, url in self._addresses.items())
        return list(await asyncio.gather(*reads))

    async def alerts(self) -> Reply | None:
        """Return the reply of Prometheus with its alerts; None without Prometheus."""
        if self._prometheus is None:
            return None
        url = f"{self._prometheus.rstrip('/')}/api/v1/alerts"
        return await self._services.fetch("prometheus", "GET", url)

    async def _process(self, name: str, url: str) -> Process:
        health, metrics = await asyncio.gather(
            self._services.fetch(name.partition("-")[0], "GET", f"{url}/readyz"),
            self._services.fetch(name.partition("-")[0], "GET", f"{url}/metrics"),
        )
        if health.is_absent:
            return Process(name, "absent", health.problem)
        body: dict[str, Any] = health.body if isinstance(health.body, dict) else {}
        checks = {str(check): str(reason) for check, reason in body.get("checks", {}).items()}
        samples = Samples(parse(metrics.body)) if metrics.ok and isinstance(metrics.body, str) else Samples()
        return Process(name, "ready" if health.ok else "failing", health.problem, checks, samples)


def _addresses(settings: Settings) -> list[tuple[str, str]]:
    """Return name and address of the probes of each process."""
    addresses = []
    for service, commands in PROCESSES.items():
        url = urlsplit(settings.services.of(service))
        port = url.port or {"http": 80, "https": 443}.get(url.scheme, 80)
        for command in commands:
            name = service if command == "serve" else f"{service}-{command}"
            probe = port + _OFFSETS[command]
            address = settings.probe_url or f"{url.scheme}://{url.hostname}:{{port}}"
            addresses.append((name, address.format(process=name, port=probe)))
    return addresses


def routes(site: Site) -> APIRouter:
    """Return the routes of the page."""
    pages, probes = site.router(), Probes(site.services, site.settings)

    @pages.get("/system")
    async def system(request: Request, visitor: Viewer) -> Response:
        processes, alerts = await asyncio.gather(probes.processes(), probes.alerts())
        return site.render(
            request,
            visitor,
            "system.html",
            processes=processes,
            findings=findings(processes),
            consumers=consumers(processes),
            outboxes=outboxes(processes),
            stores=stores(processes, STORES),
            alerts=alerts,
        )

    return pages


PAGE = Page("system", "System", "Operate", "viewer", routes)
