"""Shadow answers in Postgres: what variants that nobody saw would have answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.router.domain.results import ShadowResult
from services.router.store import SQL

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.settings import Settings
    from shared.events.servings import Serving
    from shared.postgres import Database


class ShadowStore:
    """Writes shadow answers, and compares them with the shown ones; writing one again changes nothing."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._reads = database.for_requests(settings.results_seconds)

    async def record(self, served: Sequence[tuple[str, Serving]]) -> None:
        """Record shadow answers of tenants."""
        rows = [
            (
                tenant,
                serving.experiment,
                serving.experiment_version or 1,
                serving.variant,
                serving.recommendation_id,
                serving.served_at,
                serving.shadow.overlap,
                serving.shadow.milliseconds,
                serving.shadow.shown_milliseconds,
                serving.shadow.size,
                {"item_ids": serving.item_ids},
            )
            for tenant, serving in served
            if serving.shadow is not None and serving.experiment is not None
        ]
        if not rows:
            return
        tenants, experiments, versions, variants, ids, times, *rest = map(list, zip(*rows, strict=True))
        overlaps, milliseconds, shown_milliseconds, size, items = rest
        await self._database.execute(
            *SQL.record_shadows(
                tenants=tenants,
                experiments=experiments,
                versions=versions,
                variants=variants,
                recommendation_ids=ids,
                times=times,
                overlaps=overlaps,
                milliseconds=milliseconds,
                shown_milliseconds=shown_milliseconds,
                size=size,
                items=items,
            )
        )

    async def results(self, version: StoredVersion) -> list[ShadowResult]:
        """Return the comparison of each variant but the first. Raise TimeoutError if it takes too long."""
        rows = await self._reads.fetch(
            *SQL.shadows(tenant=version.tenant, name=version.name, version=version.version)
        )
        by_variant = {row["variant"]: ShadowResult.model_validate(dict(row)) for row in rows}
        nothing = {"answers": 0, "distinct_items": 0}
        return [
            by_variant.get(variant.name) or ShadowResult.model_validate({"variant": variant.name} | nothing)
            for variant in version.variants[1:]
        ]
