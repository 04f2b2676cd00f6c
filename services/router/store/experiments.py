"""Experiments in Postgres: versions are immutable, and one runs per surface."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, Protocol

from services.router.domain.experiments import Counts, Definition, Outcome, next_version
from services.router.settings import Settings
from services.router.store import SQL
from shared import outbox
from shared.errors import ApiError
from shared.events.topics import EXPERIMENTS
from shared.events.values import LARGEST
from shared.experiments import Experiment

if TYPE_CHECKING:
    from asyncpg import Record

    from shared.postgres import Connection, Database


MAX_CONCURRENT_RESULTS = 2
"""Results that a process reads at the same time, so that they never take all connections of the pool."""


class Reader(Protocol):
    """A pool or one of its connections."""

    async def fetchrow(self, text: str, /, *args: Any) -> Record | None:
        """Return the first row; None if there is none."""


class Experiments:
    """Adds, starts, stops and lists the experiments of tenants."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Apply the quotas of the settings."""
        self._database = database
        self._results = database.for_requests(settings.results_seconds)
        self._results_semaphore = asyncio.Semaphore(MAX_CONCURRENT_RESULTS)
        self._max_experiments = settings.max_experiments
        self._max_versions = settings.max_experiment_versions

    async def define(self, tenant: str, definition: Definition) -> tuple[Experiment, bool]:
        """Return the version of a definition, and whether it is new or the unchanged latest one.

        Raise ApiError (409) beyond a quota.
        """
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            latest = await self._find_latest(connection, tenant, definition.name)
            fields = next_version(definition, latest, secrets.token_hex(8))
            if fields is None and latest is not None:
                return latest, False
            await self._check_quota(connection, tenant, definition.name)
            await connection.execute(*SQL.add(tenant=tenant, **(fields or {})))
            return await self._get_latest(connection, tenant, definition.name), True

    async def start(self, tenant: str, name: str) -> Experiment:
        """Start the newest version instead of an older one.

        Raise ApiError (404) for an unknown experiment, and (409) if another one runs on its surface, or the
        newest version was stopped.
        """
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            latest = await self._get_latest(connection, tenant, name)
            if latest.status == "running":
                return latest
            if latest.status == "stopped":
                detail = (
                    f"Version {latest.version} of {name} was stopped, and its counts are closed. "
                    "Post it again with another salt or traffic, and start that version."
                )
                raise ApiError(409, "Stopped", detail)
            running = await connection.fetchval(
                *SQL.running_on(tenant=tenant, surface=latest.surface, name=name)
            )
            if running is not None:
                detail = (
                    f"The experiment {running} runs on {latest.surface}; stop it before you start {name}."
                )
                raise ApiError(409, "SurfaceTaken", detail)
            await connection.execute(*SQL.stop(tenant=tenant, name=name))
            row = await connection.fetchrow(*SQL.start(tenant=tenant, name=name, version=latest.version))
            return await self._publish(connection, row)

    async def stop(self, tenant: str, name: str) -> Experiment:
        """Stop an experiment; do nothing if it is not running. Raise ApiError (404) if it is unknown."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            row = await connection.fetchrow(*SQL.stop(tenant=tenant, name=name))
            if row is None:
                return await self._get_latest(connection, tenant, name)
            return await self._publish(connection, row)

    async def delete_drafts(self, tenant: str, name: str) -> None:
        """Delete the versions of an experiment that never ran.

        Raise ApiError (404) if it is unknown, and (409) if every version has run: their counts are kept.
        """
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            await self._get_latest(connection, tenant, name)
            if not await connection.fetch(*SQL.delete_drafts(tenant=tenant, name=name)):
                detail = f"{name} has no draft; versions that have served stay, with their counts."
                raise ApiError(409, "NoDraft", detail)

    async def _publish(self, connection: Connection, row: Record | None) -> Experiment:
        """Announce the state of a version that has just started or stopped; return it."""
        assert row is not None
        version = parse_row(row)
        await outbox.append(connection, EXPERIMENTS, [version.changed()])
        return version

    async def _check_quota(self, connection: Connection, tenant: str, name: str) -> None:
        """Raise ApiError (409) if the tenant or the experiment may have no further version."""
        row = await connection.fetchrow(*SQL.count_open(tenant=tenant, name=name))
        assert row is not None
        if row["open_experiments"] >= self._max_experiments:
            detail = (
                f"A tenant may have {self._max_experiments} draft and running experiments. Stop some, "
                "delete drafts, or raise the setting ROUTER_MAX_EXPERIMENTS."
            )
            raise ApiError(409, "LimitExceeded", detail)
        if row["versions"] >= self._max_versions:
            detail = (
                f"{name} has {row['versions']} versions, which is the limit. Use another name, or raise the "
                "setting ROUTER_MAX_EXPERIMENT_VERSIONS."
            )
            raise ApiError(409, "LimitExceeded", detail)

    async def latest_versions(self, tenant: str) -> list[Experiment]:
        """Return the newest version of each experiment of a tenant."""
        return [parse_row(row) for row in await self._database.fetch(*SQL.latest_versions(tenant=tenant))]

    async def get(self, tenant: str, name: str, version: int | None = None) -> Experiment:
        """Return a version, by default the newest; raise ApiError (404) if it does not exist."""
        if version is None:
            return await self._get_latest(self._database, tenant, name)
        row = await self._database.fetchrow(*SQL.version(tenant=tenant, name=name, version=version))
        if row is None:
            raise ApiError(404, "UnknownExperiment", f"There is no version {version} of {name!r}.")
        return parse_row(row)

    async def running_or_recent(self) -> list[Experiment]:
        """Return running experiments of all tenants, and those stopped within the last day."""
        return [parse_row(row) for row in await self._database.fetch(*SQL.running_or_recent())]

    async def counts(self, version: Experiment) -> Counts:
        """Return the counts of a version so far; raise TimeoutError if reading them takes too long."""
        async with self._results_semaphore:
            return await self._counts(version)

    async def _counts(self, version: Experiment) -> Counts:
        parameters = {"tenant": version.tenant, "name": version.name, "version": version.version}
        units = await self._results.fetch(*SQL.units(**parameters))
        outcomes: dict[str, dict[str, Outcome]] = {}
        for row in await self._results.fetch(*SQL.results(largest=LARGEST, **parameters)):
            outcomes.setdefault(row["variant"], {})[row["event_type"]] = Outcome(
                events=row["events"],
                units=row["units"],
                value=row["value"],
                values_left_out=row["values_left_out"],
            )
        return Counts(
            units={row["variant"]: row["units"] for row in units},
            mixed=sum(row["mixed"] for row in units),
            crossed=await self._results.fetchval(*SQL.crossed(**parameters)),
            outcomes=outcomes,
        )

    async def _find_latest(self, reader: Reader | Connection, tenant: str, name: str) -> Experiment | None:
        row = await reader.fetchrow(*SQL.latest(tenant=tenant, name=name))
        return None if row is None else parse_row(row)

    async def _get_latest(self, reader: Reader | Connection, tenant: str, name: str) -> Experiment:
        latest = await self._find_latest(reader, tenant, name)
        if latest is None:
            detail = f"There is no experiment {name!r}. GET /v1/experiments lists those that exist."
            raise ApiError(404, "UnknownExperiment", detail)
        return latest


def parse_row(row: Record) -> Experiment:
    """Return a row as an experiment."""
    return Experiment.model_validate(dict(row))
