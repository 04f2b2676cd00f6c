"""Route one request: choose the variant, call the recommender, record the exposure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from services.router.metrics import ASSIGNED, SET_ASIDE
from services.router.store.exposure_publisher import Exposure
from shared.experiments import SurfaceRequest, surface_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.router.store.exposure_publisher import ExposurePublisher
    from services.router.store.running_experiments import RunningExperiments
    from services.router.store.upstream import Reply, Upstream
    from shared.experiments import Variant

    CallRecommender = Callable[[Variant | None], Awaitable[Reply]]


class Routing:
    """Answers requests by the variant of their unit, if an experiment runs on their surface."""

    def __init__(self, running: RunningExperiments, upstream: Upstream, exposures: ExposurePublisher) -> None:
        self._running = running
        self._upstream = upstream
        self._exposures = exposures

    async def answer_rest(self, tenant: str, path: str, raw_path: str, query: str) -> Reply:
        """Answer a REST request; `path` is decoded, `raw_path` and `query` are as they were sent."""

        async def call_recommender(variant: Variant | None) -> Reply:
            strategy = variant.strategy if variant else None
            parameters = [query, f"strategy={quote(strategy, safe='')}"] if strategy else [query]
            target = "&".join(parameter for parameter in parameters if parameter)
            return await self._upstream.call(tenant, "GET", f"{raw_path}?{target}" if target else raw_path)

        return await self.answer(tenant, surface_request(path, query), call_recommender)

    async def answer(
        self, tenant: str, request: SurfaceRequest | None, call_recommender: CallRecommender
    ) -> Reply:
        """Answer by the unit's variant; if its strategy is rejected, as if there were no experiment."""
        experiment = self._running.on(tenant, request.surface) if request else None
        variant = experiment.assign(request.unit) if experiment and request else None
        if experiment is None or variant is None or request is None:
            return await call_recommender(None)
        reply = await call_recommender(variant)
        if reply.is_client_error and variant.strategy is not None:
            without_experiment = await call_recommender(None)
            if not without_experiment.is_client_error:
                # The request was valid, so the strategy was not: this is no exposure.
                SET_ASIDE.labels(experiment.name, variant.name).inc()
            return without_experiment
        if reply.status == 200:
            ASSIGNED.labels(experiment.name, variant.name).inc()
            now = datetime.now(UTC)
            self._exposures.add(Exposure(experiment, variant, request.unit, request.surface, now, reply.body))
            reply.headers.append((b"x-experiment", f"{experiment.name};v={experiment.version}".encode()))
            reply.headers.append((b"x-variant", variant.name.encode()))
        return reply
