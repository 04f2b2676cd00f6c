"""One request: which variant, ask the recommender, note the exposure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from services.router.domain.surfaces import Asked, asked
from services.router.metrics import ASSIGNED, SET_ASIDE
from services.router.store.exposures import Shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.router.domain.experiments import Experiment, Variant
    from services.router.store.exposures import Exposures
    from services.router.store.running import Running
    from services.router.store.upstream import Reply, Upstream

    Ask = Callable[[Variant | None], Awaitable[Reply]]


class Routing:
    """Chooses the variant of a request, if an experiment runs where it goes."""

    def __init__(self, running: Running, upstream: Upstream, exposures: Exposures) -> None:
        self._running = running
        self._upstream = upstream
        self._exposures = exposures

    async def rest(self, tenant: str, path: str, raw_path: str, query: str) -> Reply:
        """A REST request; `path` is decoded, `raw_path` and `query` are as they came."""

        async def ask(variant: Variant | None) -> Reply:
            strategy = variant.strategy if variant else None
            parts = [query, f"strategy={quote(strategy, safe='')}"] if strategy else [query]
            target = "&".join(part for part in parts if part)
            return await self._upstream.ask(tenant, "GET", f"{raw_path}?{target}" if target else raw_path)

        return await self.answered(tenant, asked(path, query), ask)

    async def answered(self, tenant: str, what: Asked | None, ask: Ask) -> Reply:
        """Ask by the unit's variant; where that is refused, as if there were no experiment."""
        experiment = self._running.on(tenant, what.surface) if what else None
        variant = experiment.assign(what.unit) if experiment and what else None
        if experiment is None or variant is None or what is None:
            return await ask(None)
        reply = await ask(variant)
        if reply.refused and variant.strategy is not None:
            without = await ask(None)
            if not without.refused:
                # The request was right, so the strategy was not: this is no exposure.
                SET_ASIDE.labels(experiment.name, variant.name).inc()
            return without
        if reply.status == 200:
            self._note(experiment, variant, what, reply)
            reply.headers.append((b"x-experiment", f"{experiment.name};v={experiment.version}".encode()))
            reply.headers.append((b"x-variant", variant.name.encode()))
        return reply

    def _note(self, experiment: Experiment, variant: Variant, what: Asked, reply: Reply) -> None:
        ASSIGNED.labels(experiment.name, variant.name).inc()
        now = datetime.now(UTC)
        self._exposures.note(Shown(experiment, variant, what.unit, what.surface, now, reply.body))
