"""Experiments in Postgres: versions are added, never changed; one runs per surface."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, Protocol

from services.router.domain.experiments import Counts, Definition, Experiment, Outcome, next_version
from services.router.settings import Settings
from services.router.store import SQL
from shared.errors import ApiError
from shared.events.values import LARGEST

if TYPE_CHECKING:
    from asyncpg import Record

    from shared.postgres import Connection, Database


RESULTS_AT_ONCE = 2
"""Looks at results that a process works on at once, so that they never take the whole pool of connections."""


class Reader(Protocol):
    """A pool or one of its connections."""

    async def fetchrow(self, text: str, /, *args: Any) -> Record | None:
        """The first row."""


class Experiments:
    """Adds, starts, stops and lists the experiments of tenants."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Keep to the quotas of the settings."""
        self._database = database
        self._results = database.for_requests(settings.results_seconds)
        self._looking = asyncio.Semaphore(RESULTS_AT_ONCE)
        self._most = settings.max_experiments
        self._most_versions = settings.max_experiment_versions

    async def define(self, tenant: str, definition: Definition) -> tuple[Experiment, bool]:
        """The version that a definition makes, or the latest if it says the same; and whether it is new."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            latest = await self._latest(connection, tenant, definition.name)
            fields = next_version(definition, latest, secrets.token_hex(8))
            if fields is None and latest is not None:
                return latest, False
            await self._check_quota(connection, tenant, definition.name)
            await connection.execute(*SQL.add(tenant=tenant, **(fields or {})))
            return await self._found(connection, tenant, definition.name), True

    async def start(self, tenant: str, name: str) -> Experiment:
        """Let the newest version run in place of an older one; 409 while another has its surface."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            latest = await self._found(connection, tenant, name)
            if latest.status == "running":
                return latest
            if latest.status == "stopped":
                detail = (
                    f"Version {latest.version} of {name} was stopped, and its counts are closed. "
                    "Post it again with another salt or traffic, and start that version."
                )
                raise ApiError(409, "Stopped", detail)
            other = await connection.fetchval(
                *SQL.running_on(tenant=tenant, surface=latest.surface, name=name)
            )
            if other is not None:
                detail = f"The experiment {other} runs on {latest.surface}; stop it before you start {name}."
                raise ApiError(409, "SurfaceTaken", detail)
            await connection.execute(*SQL.stop(tenant=tenant, name=name))
            await connection.execute(*SQL.start(tenant=tenant, name=name, version=latest.version))
            return await self._found(connection, tenant, name)

    async def stop(self, tenant: str, name: str) -> Experiment:
        """Let it end; a repetition changes nothing."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            version = await connection.fetchval(*SQL.stop(tenant=tenant, name=name))
            if version is None:
                return await self._found(connection, tenant, name)
            row = await connection.fetchrow(*SQL.one(tenant=tenant, name=name, version=version))
            assert row is not None
            return experiment(row)

    async def delete_drafts(self, tenant: str, name: str) -> None:
        """Delete the versions of an experiment that never served; 404 where the name is unknown.

        409 where every version of it has served: its counts stay.
        """
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            await self._found(connection, tenant, name)
            if not await connection.fetch(*SQL.delete_drafts(tenant=tenant, name=name)):
                detail = f"{name} has no draft; versions that have served stay, with their counts."
                raise ApiError(409, "NoDraft", detail)

    async def _check_quota(self, connection: Connection, tenant: str, name: str) -> None:
        """ApiError 409 when the tenant, or the experiment, may have no further version."""
        row = await connection.fetchrow(*SQL.count_open(tenant=tenant, name=name))
        assert row is not None
        if row["others"] >= self._most:
            detail = (
                f"A tenant may have {self._most} draft and running experiments. Stop some, delete drafts, or "
                "raise the setting ROUTER_MAX_EXPERIMENTS."
            )
            raise ApiError(409, "LimitExceeded", detail)
        if row["versions"] >= self._most_versions:
            detail = (
                f"{name} has {row['versions']} versions, which is the limit. Use another name, or raise the "
                "setting ROUTER_MAX_EXPERIMENT_VERSIONS."
            )
            raise ApiError(409, "LimitExceeded", detail)

    async def every(self, tenant: str) -> list[Experiment]:
        """The newest version of each."""
        return [experiment(row) for row in await self._database.fetch(*SQL.every(tenant=tenant))]

    async def one(self, tenant: str, name: str, version: int | None = None) -> Experiment:
        """One version, the newest if none is named; 404 when it does not exist."""
        if version is None:
            return await self._found(self._database, tenant, name)
        row = await self._database.fetchrow(*SQL.one(tenant=tenant, name=name, version=version))
        if row is None:
            raise ApiError(404, "UnknownExperiment", f"There is no version {version} of {name!r}.")
        return experiment(row)

    async def relevant(self) -> list[Experiment]:
        """What is running, of all tenants, and what was stopped within the last day."""
        return [experiment(row) for row in await self._database.fetch(*SQL.relevant())]

    async def counts(self, found: Experiment) -> Counts:
        """Return what came of a version so far; TimeoutError when it is too much to add up in time."""
        async with self._looking:
            return await self._counts(found)

    async def _counts(self, found: Experiment) -> Counts:
        which = {"tenant": found.tenant, "name": found.name, "version": found.version}
        units = await self._results.fetch(*SQL.units(**which))
        outcomes: dict[str, dict[str, Outcome]] = {}
        for row in await self._results.fetch(*SQL.results(largest=LARGEST, **which)):
            outcomes.setdefault(row["variant"], {})[row["event_type"]] = Outcome(
                events=row["events"],
                units=row["units"],
                value=row["value"],
                values_left_out=row["values_left_out"],
            )
        return Counts(
            units={row["variant"]: row["units"] for row in units},
            mixed=sum(row["mixed"] for row in units),
            crossed=await self._results.fetchval(*SQL.crossed(**which)),
            outcomes=outcomes,
        )

    async def _latest(self, reader: Reader | Connection, tenant: str, name: str) -> Experiment | None:
        row = await reader.fetchrow(*SQL.latest(tenant=tenant, name=name))
        return None if row is None else experiment(row)

    async def _found(self, reader: Reader | Connection, tenant: str, name: str) -> Experiment:
        latest = await self._latest(reader, tenant, name)
        if latest is None:
            detail = f"There is no experiment {name!r}. GET /v1/experiments lists those that exist."
            raise ApiError(404, "UnknownExperiment", detail)
        return latest


def experiment(row: Record) -> Experiment:
    """A row as an experiment."""
    return Experiment.model_validate(dict(row))
