"""The job that loads a generation from the object store into Postgres and Redis, and activates it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic

import structlog

from services.loader import metrics
from services.loader.domain import (
    ActiveGenerations,
    BatchRefused,
    Limits,
    LoadCounts,
    Manifest,
    ManifestRecipe,
    RecommendationList,
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

ATTEMPTS_PER_LOAD = 1000
"""Attempts are numbered `load * ATTEMPTS_PER_LOAD + attempt`, which is unique for a generation."""


@dataclass(frozen=True, slots=True)
class LoadJob:
    """A load: object store, partition, checks, Redis, activation. Each step can be repeated."""

    database: Database
    generations: Generations
    activations: Activations
    caches: Caches
    erasures: Erasures
    files: Files
    limits: Limits

    async def run(self, job: Job) -> None:
        """Load a generation and activate it; refuse one that is incomplete or implausible.

        Raises Permanent for an unknown generation, and Transient for an overlay before an older load.
        """
        started = monotonic()
        generation = await self.generations.start_load(job.payload["generation"])
        if generation is None:
            raise Permanent(f"generation {job.payload['generation']} is unknown")
        if generation.status == "loading":
            if generation.base is not None and await self.generations.is_older_pending(generation):
                raise Transient("an older generation of the tenant is loaded first")
            is_forced = job.payload["force"]
            counts = LoadCounts(
                catalogue=frozenset() if is_forced else await self.generations.catalogue(generation.tenant)
            )
            try:
                await self._load_into_postgres(job, generation, counts)
            except BatchRefused as refusal:
                await self.generations.refuse(generation, str(refusal), counts)
                metrics.GENERATIONS.labels("refused").inc()
                log.warning(
                    "loader.generation_refused",
                    tenant=generation.tenant,
                    generation=generation.generation,
                    reason=str(refusal),
                )
                return
            generation = await self.generations.start_load(generation.generation)
        if generation is not None and generation.status == "loaded":
            await self._deploy(job, generation)
            metrics.LOAD_SECONDS.labels("all").observe(monotonic() - started)

    async def failed(self, job: Job, sentence: str) -> None:
        """Set the generation to failed, with the reason."""
        await self.generations.fail(job.payload["generation"], sentence)
        metrics.GENERATIONS.labels("failed").inc()

    async def _load_into_postgres(self, job: Job, generation: Generation, counts: LoadCounts) -> None:
        """Fill the partition, check it and attach it; BatchRefused when a check fails."""
        started = monotonic()
        text = await self.files.manifest(generation.bucket, generation.manifest)
        manifest = Manifest.read(text, tenant=generation.tenant, run=generation.generation)
        attempt = job.payload["load"] * ATTEMPTS_PER_LOAD + job.attempt
        staging = await self.generations.make_staging(generation, attempt)
        for name, recipe in manifest.recipes.items():
            await job.report(phase="copy", recipe=name, rows=counts.rows.total())
            await self.generations.copy(
                staging, generation, name, self._entries(generation.bucket, name, recipe, counts)
            )
            metrics.LISTS.labels(name).inc(counts.rows[name])
            metrics.REJECTED.labels(name).inc(counts.rejected[name])
        await job.report(phase="check", rows=counts.rows.total())
        require_complete(manifest, counts)
        if not job.payload["force"]:
            is_overlay = generation.base is not None
            last_rows = {} if is_overlay else await self.generations.last_rows(generation.tenant)
            require_plausible(manifest, counts, self.limits, last_rows=last_rows)
        await self.generations.index(staging)
        await self.generations.attach(generation, staging, manifest, counts)
        metrics.LOAD_SECONDS.labels("copy").observe(monotonic() - started)

    async def _entries(
        self, bucket: str, name: str, recipe: ManifestRecipe, counts: LoadCounts
    ) -> AsyncIterator[list[RecommendationList]]:
        for file in recipe.files:
            lines_before = 0
            async for lines in self.files.lines(bucket, file):
                entries = [
                    counts.add(name, file.key, number, line)
                    for number, line in enumerate(lines, start=lines_before + 1)
                ]
                lines_before += len(lines)
                yield [entry for entry in entries if entry is not None]

    async def _deploy(self, job: Job, generation: Generation) -> None:
        """Fill Redis, then activate the generation in Postgres, and then in Redis."""
        started = monotonic()
        await job.report(phase="redis")
        tenant, number = generation.tenant, generation.generation
        try:
            await self.caches.fill(tenant, number, generation.rows)
            await self.erasures.delete_erased(tenant)
        except Transient as error:
            # Clients are served from Postgres meanwhile; the follower fills Redis when it is available again.
            log.warning("loader.redis_unavailable", tenant=tenant, generation=number, error=str(error))
        metrics.LOAD_SECONDS.labels("redis").observe(monotonic() - started)
        await job.report(phase="activate")
        active = await self._activate(tenant, number, on_request=job.payload["asked"])
        metrics.GENERATIONS.labels("activated" if active else "loaded").inc()
        log.info(
            "loader.generation_loaded",
            tenant=tenant,
            generation=number,
            lists=generation.rows,
            activation=active.activation if active else None,
        )
        if active is not None:
            with contextlib.suppress(Transient):
                if await self.caches.is_filled(tenant, active.numbers):
                    await self.caches.set_pointer(active)

    async def _activate(self, tenant: str, generation: int, *, on_request: bool) -> ActiveGenerations | None:
        if not on_request:
            return await self.activations.activate_after_load(tenant, generation)
        async with self.database.transaction() as connection:
            await self.activations.lock(connection, tenant)
            return await self.activations.activate(connection, tenant, generation)
