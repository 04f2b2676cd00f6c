"""Generations and their lists in Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from services.loader.domain import RECIPES_WITHOUT_USERS, Entry, Manifest, Refused, Reject, Tally
from services.loader.store.sql import SQL
from shared import jobs
from shared.errors import Permanent
from shared.events import BatchCompleted, BatchFailed

if TYPE_CHECKING:
    from shared.postgres import Connection, Database

COPY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Generation:
    """What the load of a generation needs to know."""

    generation: int
    tenant: str
    status: str
    reason: str | None
    bucket: str
    manifest: str
    loads: int
    rows: int


@dataclass(frozen=True, slots=True)
class State:
    """How a generation stands; `loadable` when there is a manifest to load it from."""

    status: str
    reason: str | None
    loadable: bool


class Generations:
    """From the word that a run is done to its partition."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, batch: BatchCompleted) -> bool:
        """Add the generation and its load; False when it is known already."""
        async with self._database.transaction() as connection:
            added = await connection.fetchval(
                *SQL.receive(
                    generation=batch.run,
                    tenant=batch.tenant,
                    bucket=batch.bucket,
                    manifest=batch.manifest,
                    started_at=batch.started_at,
                )
            )
            if added is None:
                await self._require_owner(connection, batch.run, batch.tenant)
                return False
            await _enqueue_load(connection, batch.tenant, batch.run, 1, force=False, asked=False)
            return True

    async def receive_failure(self, batch: BatchFailed) -> None:
        """Keep the number and the reason of a run that has no lists."""
        await self._database.execute(
            *SQL.receive_failure(
                generation=batch.run,
                tenant=batch.tenant,
                reason=f"the run failed at {batch.step}: {batch.reason}",
            )
        )

    async def state(self, connection: Connection, tenant: str, generation: int) -> State | None:
        """How a generation stands, locked until the end of the transaction."""
        row = await connection.fetchrow(*SQL.lock_generation(tenant=tenant, generation=generation))
        return State(**dict(row)) if row else None

    async def load_again(self, connection: Connection, tenant: str, generation: int, *, force: bool) -> None:
        """Load a refused or failed generation because somebody asks for it, and activate it then."""
        loads = await connection.fetchval(*SQL.load_again(generation=generation))
        await _enqueue_load(connection, tenant, generation, loads, force=force, asked=True)

    async def begin(self, generation: int) -> Generation | None:
        """The generation, whose load begins (again); None when nobody knows it."""
        await self._database.execute(*SQL.begin_loading(generation=generation))
        row = await self._database.fetchrow(*SQL.generation_to_load(generation=generation))
        return Generation(**dict(row)) if row else None

    async def make_staging(self, generation: Generation, attempt: int) -> str:
        """A new table for this attempt's lists."""
        return str(
            await self._database.fetchval(
                *SQL.make_staging(tenant=generation.tenant, generation=generation.generation, attempt=attempt)
            )
        )

    async def copy(
        self, staging: str, generation: Generation, recipe: str, entries: AsyncIterator[list[Entry]]
    ) -> None:
        """Stream lists into the table by COPY; nothing is kept in memory but the batch at hand."""
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
        """Build the primary key. Raises Refused when an id has two lists."""
        try:
            await self._database.pool.fetchval(*SQL.index_staging(staging=staging), timeout=COPY_SECONDS)
        except asyncpg.UniqueViolationError as error:
            raise Refused(f"the batch has two lists for one id: {error.detail}") from error

    async def last_rows(self, tenant: str) -> dict[str, int]:
        """The number of lists of each recipe that are served now."""
        rows = await self._database.fetch(*SQL.last_rows(tenant=tenant))
        return {row["recipe"]: row["rows"] for row in rows}

    async def unknown_items(self, tenant: str, items: Iterable[str]) -> int:
        """How many of the items the catalogue doesn't have; 0 for a tenant without a catalogue."""
        row = await self._database.fetchrow(*SQL.unknown_items(tenant=tenant, items=[*items]))
        assert row is not None
        return int(row["unknown"]) if row["catalogue"] else 0

    async def attach(self, generation: Generation, staging: str, manifest: Manifest, tally: Tally) -> bool:
        """Make the filled table the generation's partition, with everything that is known of it.

        False when somebody else has decided about the generation meanwhile.
        """
        number = generation.generation
        async with self._database.transaction() as connection:
            # Users who are erased meanwhile are erased before or after this, never beside it.
            await connection.execute(*SQL.lock_erasures(tenant=generation.tenant))
            if await connection.fetchval(*SQL.lock_loading(generation=number)) is None:
                return False
            await connection.execute(*SQL.attach_staging(staging=staging, generation=number))
            for name, recipe in manifest.recipes.items():
                await connection.execute(
                    *SQL.add_recipe(
                        generation=number,
                        recipe=name,
                        rows=tally.rows[name],
                        rejected=tally.rejected[name],
                        engine_recipe=recipe.engine_recipe,
                        job_name=recipe.job_name,
                        job_arn=recipe.job_arn,
                        started_at=recipe.started_at or manifest.started_at,
                        completed_at=recipe.completed_at or manifest.completed_at,
                    )
                )
            await _keep_rejects(connection, number, tally.rejects)
            erased = await connection.fetchval(
                *SQL.delete_erased_lists(generation=number, recipes_without_users=list(RECIPES_WITHOUT_USERS))
            )
            await connection.execute(
                *SQL.finish_loading(
                    generation=number, rows=tally.rows.total() - erased, rejected=tally.rejected.total()
                )
            )
            return True

    async def refuse(self, generation: Generation, reason: str, tally: Tally) -> None:
        """Say why the generation is not served, and keep the lines that speak against it."""
        number = generation.generation
        async with self._database.transaction() as connection:
            await connection.execute(
                *SQL.refuse(generation=number, reason=reason, rejected=tally.rejected.total())
            )
            await _keep_rejects(connection, number, tally.rejects)

    async def fail(self, generation: int, reason: str) -> None:
        """Say why the load did not come to an end."""
        await self._database.execute(*SQL.fail(generation=generation, reason=reason))

    async def listed(
        self, tenant: str, *, generation: int | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        """The newest generations of a tenant, or one of them."""
        rows = await self._database.fetch(*SQL.generations(tenant=tenant, generation=generation, limit=limit))
        return [dict(row) for row in rows]

    async def rejected_lines(self, generation: int, limit: int = 100) -> list[Mapping[str, Any]]:
        """Some of the lines that could not be used."""
        rows = await self._database.fetch(*SQL.rejected_lines(generation=generation, limit=limit))
        return [dict(row) for row in rows]

    async def _require_owner(self, connection: Connection, run: int, tenant: str) -> None:
        owner = await connection.fetchval(*SQL.owner(generation=run))
        if owner != tenant:
            raise Permanent(f"run {run} belongs to tenant {owner}, not to {tenant}")


async def _enqueue_load(
    connection: Connection, tenant: str, generation: int, load: int, *, force: bool, asked: bool
) -> None:
    payload = {"generation": generation, "load": load, "force": force, "asked": asked}
    await jobs.enqueue(connection, "load", f"{generation}/{load}", payload, tenant=tenant)


async def _keep_rejects(connection: Connection, generation: int, rejects: list[Reject]) -> None:
    await connection.execute(*SQL.forget_rejects(generation=generation))
    await connection.copy_records_to_table(
        "rejects",
        schema_name="loader",
        columns=["generation", "recipe", "file", "line", "reason", "text"],
        records=[(generation, *_columns(reject)) for reject in rejects],
    )


def _columns(reject: Reject) -> tuple[str, str, int, str, str]:
    return reject.recipe, reject.file, reject.line, reject.reason, reject.text
