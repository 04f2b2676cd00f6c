"""The load of a generation, from the object store to the clients."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic

import structlog

from services.loader import metrics
from services.loader.domain import (
    Entry,
    Limits,
    Manifest,
    ManifestRecipe,
    Refused,
    Served,
    Tally,
    require_complete,
    require_plausible,
)
from services.loader.store import (
    Activations,
    Caches,
    Erasures,
    Files,
    Generation,
    Generations,
)
from shared.errors import Permanent, Transient
from shared.jobs import Job
from shared.postgres import Database

log = structlog.get_logger()

# With the number of the load before it, an attempt's number is unique for a generation.
ATTEMPTS_PER_LOAD = 1000


@dataclass(frozen=True, slots=True)
class Loading:
    """A load: object store → partition → checks → Redis → pointers, each step safe to begin again."""

    database: Database
    generations: Generations
    activations: Activations
    caches: Caches
    erasures: Erasures
    files: Files
    limits: Limits

    async def load(self, job: Job) -> None:
        """Bring one generation as far as it may go."""
        began = monotonic()
        generation = await self.generations.begin(job.payload["generation"])
        if generation is None:
            raise Permanent(f"generation {job.payload['generation']} is not known")
        if generation.status == "loading":
            tally = Tally()
            try:
                await self._to_postgres(job, generation, tally)
            except Refused as refusal:
                await self.generations.refuse(generation, str(refusal), tally)
                metrics.GENERATIONS.labels("refused").inc()
                log.warning(
                    "loader.generation_refused",
                    tenant=generation.tenant,
                    generation=generation.generation,
                    reason=str(refusal),
                )
                return
            generation = await self.generations.begin(generation.generation)
        if generation is not None and generation.status == "loaded":
            await self._to_clients(job, generation)
            metrics.LOAD_SECONDS.labels("all").observe(monotonic() - began)

    async def failed(self, job: Job, sentence: str) -> None:
        """Say in the generation why its load has ended."""
        await self.generations.fail(job.payload["generation"], sentence)
        metrics.GENERATIONS.labels("failed").inc()

    async def _to_postgres(self, job: Job, generation: Generation, tally: Tally) -> None:
        """Fill and attach the partition. Raises Refused."""
        began = monotonic()
        text = await self.files.manifest(generation.bucket, generation.manifest)
        manifest = Manifest.read(text, tenant=generation.tenant, run=generation.generation)
        attempt = job.payload["load"] * ATTEMPTS_PER_LOAD + job.attempt
        staging = await self.generations.make_staging(generation, attempt)
        for name, recipe in manifest.recipes.items():
            await job.report(phase="copy", recipe=name, rows=tally.rows.total())
            await self.generations.copy(
                staging, generation, name, self._entries(generation.bucket, name, recipe, tally)
            )
            metrics.LISTS.labels(name).inc(tally.rows[name])
            metrics.REJECTED.labels(name).inc(tally.rejected[name])
        await job.report(phase="check", rows=tally.rows.total())
        require_complete(manifest, tally)
        if not job.payload["force"]:
            require_plausible(
                manifest,
                tally,
                self.limits,
                last_rows=await self.generations.last_rows(generation.tenant),
                unknown_items=await self.generations.unknown_items(generation.tenant, tally.items),
            )
        await self.generations.index(staging)
        await self.generations.attach(generation, staging, manifest, tally)
        metrics.LOAD_SECONDS.labels("copy").observe(monotonic() - began)

    async def _entries(
        self, bucket: str, name: str, recipe: ManifestRecipe, tally: Tally
    ) -> AsyncIterator[list[Entry]]:
        for file in recipe.files:
            number = 0
            async for lines in self.files.lines(bucket, file):
                found = [
                    tally.take(name, file.key, number + place, line)
                    for place, line in enumerate(lines, start=1)
                ]
                number += len(lines)
                yield [entry for entry in found if entry is not None]

    async def _to_clients(self, job: Job, generation: Generation) -> None:
        """Fill Redis, then move the pointers: in Postgres all at once, and then in Redis."""
        began = monotonic()
        await job.report(phase="redis")
        tenant, number = generation.tenant, generation.generation
        try:
            await self.caches.fill(tenant, number, generation.rows)
            await self.erasures.forget_erased(tenant)
        except Transient as away:
            # Clients are served from Postgres meanwhile; the follower fills Redis when it is back.
            log.warning("loader.redis_away", tenant=tenant, generation=number, error=str(away))
        metrics.LOAD_SECONDS.labels("redis").observe(monotonic() - began)
        await job.report(phase="activate")
        served = await self._activate(tenant, number, asked=job.payload["asked"])
        metrics.GENERATIONS.labels("activated" if served else "loaded").inc()
        log.info(
            "loader.generation_loaded",
            tenant=tenant,
            generation=number,
            lists=generation.rows,
            activation=served.activation if served else None,
        )
        if served is not None:
            with contextlib.suppress(Transient):
                if await self.caches.is_filled(tenant, served.generations.values()):
                    await self.caches.point(served)

    async def _activate(self, tenant: str, generation: int, *, asked: bool) -> Served | None:
        if not asked:
            return await self.activations.by_load(tenant, generation)
        async with self.database.transaction() as connection:
            await self.activations.lock(connection, tenant)
            return await self.activations.by_request(connection, tenant, generation)
