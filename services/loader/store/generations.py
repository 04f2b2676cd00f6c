"""Generations and their lists in Postgres.

See docs/decisions/0028-generations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from services.loader.domain import (
    RECIPES_WITHOUT_USERS,
    BatchRefused,
    LoadCounts,
    Manifest,
    RecommendationList,
    RejectedLine,
)
from services.loader.store.sql import SQL
from shared import jobs
from shared.errors import Permanent
from shared.events import BatchCompleted, BatchFailed

if TYPE_CHECKING:
    from shared.postgres import Connection, Database

COPY_SECONDS = 3600.0

STORED_WITHIN = timedelta(minutes=1)
"""The time within which events are stored, for an overlay to say which ones it knows. Arbitrary."""


@dataclass(frozen=True, slots=True)
class Generation:
    """The data of a generation that its load needs."""

    generation: int
    tenant: str
    status: str
    reason: str | None
    bucket: str
    manifest: str
    loads: int
    rows: int
    kind: str
    base: int | None


@dataclass(frozen=True, slots=True)
class GenerationState:
    """The status of a generation; `loadable` if it has a manifest to load, `base` if it is an overlay."""

    status: str
    reason: str | None
    loadable: bool
    base: int | None


class Generations:
    """The generations of all tenants, from the end of their run to their partition."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, batch: BatchCompleted) -> bool:
        """Add a generation and queue its load; return False when it exists already."""
        async with self._database.transaction() as connection:
            added = await connection.fetchval(
                *SQL.receive(
                    generation=batch.run,
                    tenant=batch.tenant,
                    bucket=batch.bucket,
                    manifest=batch.manifest,
                    started_at=batch.started_at,
                    kind=batch.kind,
                    base=batch.base,
                    as_of=batch.started_at - STORED_WITHIN if batch.base is not None else None,
                )
            )
            if added is None:
                await self._require_owner(connection, batch.run, batch.tenant)
                return False
            await _enqueue_load(connection, batch.tenant, batch.run, 1, force=False, on_request=False)
            return True

    async def receive_failure(self, batch: BatchFailed) -> None:
        """Add a failed generation with the reason of its run."""
        await self._database.execute(
            *SQL.receive_failure(
                generation=batch.run,
                tenant=batch.tenant,
                reason=f"the run failed at {batch.step}: {batch.reason}",
            )
        )

    async def state(self, connection: Connection, tenant: str, generation: int) -> GenerationState | None:
        """Return the state of a generation and lock it for the transaction; None if it is unknown."""
        row = await connection.fetchrow(*SQL.lock_generation(tenant=tenant, generation=generation))
        return GenerationState(**dict(row)) if row else None

    async def queue_reload(
        self, connection: Connection, tenant: str, generation: int, *, force: bool
    ) -> None:
        """Queue another load of a refused or failed generation, and its activation."""
        loads = await connection.fetchval(*SQL.queue_reload(generation=generation))
        await _enqueue_load(connection, tenant, generation, loads, force=force, on_request=True)

    async def start_load(self, generation: int) -> Generation | None:
        """Set a generation to loading and return it; None when it is unknown."""
        await self._database.execute(*SQL.start_load(generation=generation))
        row = await self._database.fetchrow(*SQL.generation_to_load(generation=generation))
        return Generation(**dict(row)) if row else None

    async def is_older_pending(self, generation: Generation) -> bool:
        """Return whether an older generation of the tenant is yet to be loaded."""
        return bool(
            await self._database.fetchval(
                *SQL.is_older_pending(tenant=generation.tenant, generation=generation.generation)
            )
        )

    async def make_staging(self, generation: Generation, attempt: int) -> str:
        """Create a table for the lists of this attempt and return its name."""
        return str(
            await self._database.fetchval(
                *SQL.make_staging(tenant=generation.tenant, generation=generation.generation, attempt=attempt)
            )
        )

    async def copy(
        self,
        staging: str,
        generation: Generation,
        recipe: str,
        entries: AsyncIterator[list[RecommendationList]],
    ) -> None:
        """Stream lists into the table with COPY, with one batch in memory at a time."""
        tenant, number = generation.tenant, generation.generation

        async def records() -> AsyncIterator[tuple[Any, ...]]:
            async for batch in entries:
                for entry in batch:
                    yield tenant, number, recipe, entry.id, orjson.Fragment(entry.items)

        async with self._database.pool.acquire() as connection:
            await connection.copy_records_to_table(
                staging,
                schema_name="loader",
                columns=["tenant", "generation", "recipe", "id", "items"],
                records=records(),
                timeout=COPY_SECONDS,
            )

    async def index(self, staging: str) -> None:
        """Build the primary key; BatchRefused when an id has two lists."""
        try:
            await self._database.pool.fetchval(*SQL.index_staging(staging=staging), timeout=COPY_SECONDS)
        except asyncpg.UniqueViolationError as error:
            raise BatchRefused(f"the batch has two lists for one id: {error.detail}") from error

    async def last_rows(self, tenant: str) -> dict[str, int]:
        """Return the number of active lists of each recipe."""
        rows = await self._database.fetch(*SQL.last_rows(tenant=tenant))
        return {row["recipe"]: row["rows"] for row in rows}

    async def catalogue(self, tenant: str) -> frozenset[str]:
        """Return the ids of the items in the catalogue; none for a tenant without one."""
        rows = await self._database.pool.fetch(*SQL.catalogue(tenant=tenant), timeout=COPY_SECONDS)
        return frozenset(row["item_id"] for row in rows)

    async def attach(
        self, generation: Generation, staging: str, manifest: Manifest, counts: LoadCounts
    ) -> bool:
        """Attach the filled table as the partition of a generation, and store its recipes and counts.

        An incremental overlay gets the further lists of the overlay before. Return False when the generation
        is no longer loading.
        """
        number = generation.generation
        async with self._database.transaction() as connection:
            # An erasure of a user must happen before or after this transaction, not during it.
            await connection.execute(*SQL.lock_erasures(tenant=generation.tenant))
            if await connection.fetchval(*SQL.lock_loading(generation=number)) is None:
                return False
            await connection.execute(*SQL.attach_staging(staging=staging, generation=number))
            for name, recipe in manifest.recipes.items():
                await connection.execute(
                    *SQL.add_recipe(
                        generation=number,
                        recipe=name,
                        rows=counts.rows[name],
                        rejected=counts.rejected[name],
                        engine_recipe=recipe.engine_recipe,
                        job_name=recipe.job_name,
                        job_arn=recipe.job_arn,
                        started_at=recipe.started_at or manifest.started_at,
                        completed_at=recipe.completed_at or manifest.completed_at,
                    )
                )
            await _store_rejects(connection, number, counts.rejects)
            carried = await self._carry_over(connection, generation)
            erased = await connection.fetchval(
                *SQL.delete_erased_lists(generation=number, recipes_without_users=list(RECIPES_WITHOUT_USERS))
            )
            await connection.execute(
                *SQL.finish_loading(
                    generation=number,
                    rows=counts.rows.total() + carried - erased,
                    rejected=counts.rejected.total(),
                )
            )
            return True

    async def _carry_over(self, connection: Connection, generation: Generation) -> int:
        """Copy further lists of the overlay before to an incremental one; return their number."""
        if generation.kind != "incremental":
            return 0
        place = {"tenant": generation.tenant, "generation": generation.generation}
        previous = await connection.fetchval(*SQL.overlay_before(base=generation.base, **place))
        if previous is None:
            return 0
        statement = SQL.carry_over(generation=generation.generation, previous=previous)
        return int(await connection.fetchval(*statement, timeout=COPY_SECONDS))

    async def refuse(self, generation: Generation, reason: str, counts: LoadCounts) -> None:
        """Set a generation to refused with a reason, and store its rejected lines."""
        number = generation.generation
        async with self._database.transaction() as connection:
            await connection.execute(
                *SQL.refuse(generation=number, reason=reason, rejected=counts.rejected.total())
            )
            await _store_rejects(connection, number, counts.rejects)

    async def fail(self, generation: int, reason: str) -> None:
        """Set a generation to failed with a reason."""
        await self._database.execute(*SQL.fail(generation=generation, reason=reason))

    async def list_newest(
        self, tenant: str, *, generation: int | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        """Return the newest generations of a tenant, or one of them."""
        rows = await self._database.fetch(*SQL.generations(tenant=tenant, generation=generation, limit=limit))
        return [dict(row) for row in rows]

    async def rejected_lines(self, generation: int, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return the first rejected lines of a generation."""
        rows = await self._database.fetch(*SQL.rejected_lines(generation=generation, limit=limit))
        return [dict(row) for row in rows]

    async def _require_owner(self, connection: Connection, run: int, tenant: str) -> None:
        owner = await connection.fetchval(*SQL.owner(generation=run))
        if owner != tenant:
            raise Permanent(f"run {run} belongs to tenant {owner}, not to {tenant}")


async def _enqueue_load(
    connection: Connection, tenant: str, generation: int, load: int, *, force: bool, on_request: bool
) -> None:
    payload = {"generation": generation, "load": load, "force": force, "asked": on_request}
    await jobs.enqueue(connection, "load", f"{generation}/{load}", payload, tenant=tenant)


async def _store_rejects(connection: Connection, generation: int, rejects: list[RejectedLine]) -> None:
    await connection.execute(*SQL.delete_rejects(generation=generation))
    await connection.copy_records_to_table(
        "rejects",
        schema_name="loader",
        columns=["generation", "recipe", "file", "line", "reason", "text"],
        records=[(generation, *_columns(reject)) for reject in rejects],
    )


def _columns(reject: RejectedLine) -> tuple[str, str, int, str, str]:
    return reject.recipe, reject.file, reject.line, reject.reason, reject.text
