"""Experiments in Postgres: versions are immutable, each change has a revision and a line in the log."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from services.router.domain.experiments import (
    Decision,
    Definition,
    StoredVersion,
    next_version,
    period_of,
)
from services.router.domain.lifecycle import Change, state_after
from services.router.settings import Settings
from services.router.store import SQL
from services.router.store.admission import check_cool_down, check_quota, check_room
from services.router.store.change_log import (
    Author,
    ChangeLog,
    LoggedChange,
    check_revision,
    parse_row,
    unknown_variant,
)
from shared.errors import ApiError
from shared.experiments import Bandit

if TYPE_CHECKING:
    from asyncpg import Record

    from shared.postgres import Connection, Database


class Reader(Protocol):
    """A pool or one of its connections."""

    async def fetchrow(self, text: str, /, *args: Any) -> Record | None:
        """Return the first row; None if there is none."""


class KnownResults(NamedTuple):
    """The results of a version that are known when it is decided, as JSON has them."""

    version: int
    results: dict[str, Any]


class Experiments:
    """Adds, changes and lists the experiments of tenants.

    A method that changes an experiment raises ApiError: 404 for an unknown one, 412 if its newest version
    has another revision than the author expects.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        """Apply the quotas of the settings."""
        self._database = database
        self._log = ChangeLog(database)
        self._settings = settings

    async def define(
        self, tenant: str, definition: Definition, author: Author, *, dry_run: bool = False
    ) -> tuple[StoredVersion, bool]:
        """Return the version of a definition, and whether it is new or the unchanged latest one.

        A dry run changes nothing. Raise ApiError (409) beyond a quota.
        """
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            latest = await self._find(connection, SQL.latest(tenant=tenant, name=definition.name))
            check_revision(definition.name, latest, author)
            fields = next_version(definition, latest, secrets.token_hex(8))
            if fields is None and latest is not None:
                return latest, False
            await check_quota(connection, tenant, definition.name, self._settings)
            fields = fields or {}
            if dry_run:
                return StoredVersion(
                    tenant=tenant, status="draft", created_at=datetime.now(UTC), **fields
                ), True
            row = await connection.fetchrow(*SQL.add(tenant=tenant, **fields))
            return await self._log.record(connection, row, "define", author, fields), True

    async def change(
        self,
        tenant: str,
        name: str,
        change: Change,
        author: Author,
        decision: Decision | None = None,
        reason: str | None = None,
        known: KnownResults | None = None,
    ) -> StoredVersion:
        """Start, pause, stop, decide or archive an experiment; a state that it has already changes nothing.

        `start` and `archive` concern the newest version, the others the one that runs or is paused, else the
        newest that was started. A decision is stored with what was `known`. Raise ApiError (409) for a change
        that the state does not allow, or if another experiment takes the surface or the segment.
        """
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            latest = await self._get_latest(connection, tenant, name)
            check_revision(name, latest, author)
            target = latest if change in {"start", "archive"} else await self._current(connection, latest)
            if change == "stop" and target.status not in {"running", "paused"}:
                return target
            status = state_after(change, target)
            if status is None:
                return target
            if change == "start":
                await check_room(connection, target)
                await check_cool_down(connection, target, self._settings.cool_down_days)
                await self._end_live(connection, target, author)
            row = await connection.fetchrow(
                *SQL.set_status(
                    tenant=tenant,
                    name=name,
                    version=target.version,
                    status=status,
                    decision=None if decision is None else decision.model_dump(mode="json"),
                )
            )
            details: dict[str, Any] = {"before": target.status, "after": status}
            if reason is not None:
                details["reason"] = reason
            if decision is not None:
                details |= decision.model_dump(mode="json", include={"variant", "reason"})
            if known is not None and known.version == target.version:
                await connection.execute(
                    *SQL.store_decided_results(
                        tenant=tenant, name=name, version=known.version, results=known.results
                    )
                )
            return await self._log.record(connection, row, change, author, details)

    async def next_period(
        self, version: StoredVersion, weights: Mapping[str, float], author: Author
    ) -> StoredVersion | None:
        """Start the next period of a bandit with other weights; return its version.

        One transaction ends the period and begins the next: a process that is killed leaves one of them. None
        if the period is not over or not the newest version any more: another process was first, somebody
        paused it, or defined another version.
        """
        assert isinstance(version.design, Bandit)
        key = {"tenant": version.tenant, "name": version.name}
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=version.tenant))
            due = SQL.lock_due_bandit(
                **key, version=version.version, period_minutes=version.design.period_minutes
            )
            current = await self._find(connection, due)
            if current is None:
                return None
            fields = period_of(current, weights)
            await self._end_live(
                connection, current.model_copy(update={"version": fields["version"]}), author
            )
            await connection.fetchrow(*SQL.add(tenant=version.tenant, **fields))
            number = {**key, "version": fields["version"]}
            await connection.execute(*SQL.set_forced(**number, forced=dict(current.forced)))
            await connection.execute(*SQL.set_disabled(**number, disabled=list(current.disabled)))
            row = await connection.fetchrow(*SQL.set_status(**number, status="running", decision=None))
            details = {"weights": dict(weights), "before": current.version}
            return await self._log.record(connection, row, "next period", author, details)

    async def force(self, tenant: str, name: str, forced: Mapping[str, str], author: Author) -> StoredVersion:
        """Set the units that get a variant for tests. Raise ApiError (400) for an unknown variant."""
        async with self._locked(tenant, name, author) as (connection, version):
            unknown = set(forced.values()) - {variant.name for variant in version.variants}
            if unknown:
                raise unknown_variant(version, min(unknown))
            row = await connection.fetchrow(
                *SQL.set_forced(tenant=tenant, name=name, version=version.version, forced=dict(forced))
            )
            return await self._log.record(connection, row, "force", author, {"units": len(forced)})

    async def enable(
        self, tenant: str, name: str, variant: str, author: Author, *, enabled: bool
    ) -> StoredVersion:
        """Disable a variant, whose units are answered as usual from then on, or enable it again.

        Raise ApiError (404) for an unknown variant.
        """
        async with self._locked(tenant, name, author) as (connection, version):
            if variant not in {each.name for each in version.variants}:
                raise unknown_variant(version, variant, status=404)
            if (variant not in version.disabled) is enabled:
                return version
            disabled = sorted(set(version.disabled) ^ {variant})
            row = await connection.fetchrow(
                *SQL.set_disabled(tenant=tenant, name=name, version=version.version, disabled=disabled)
            )
            change = "enable" if enabled else "disable"
            return await self._log.record(connection, row, change, author, {"variant": variant})

    async def delete_drafts(self, tenant: str, name: str, author: Author) -> None:
        """Delete the versions of an experiment that never ran.

        Raise ApiError (409) if every version has run: their counts are kept.
        """
        async with self._locked(tenant, name, author) as (connection, version):
            deleted = await connection.fetch(*SQL.delete_drafts(tenant=tenant, name=name))
            if not deleted:
                detail = f"{name} has no draft; versions that have served stay, with their counts."
                raise ApiError(409, "NoDraft", detail)
            details = {"versions": [row["version"] for row in deleted]}
            await self._log.add(connection, version, "delete drafts", author, details)

    async def changes(self, tenant: str, name: str, limit: int) -> list[LoggedChange]:
        """Return the log of an experiment, newest first; empty for an unknown one."""
        return await self._log.newest(tenant, name, limit)

    async def latest_versions(self, tenant: str, *, with_archived: bool = False) -> list[StoredVersion]:
        """Return the newest version of each experiment of a tenant."""
        rows = await self._database.fetch(*SQL.latest_versions(tenant=tenant, with_archived=with_archived))
        return [parse_row(row) for row in rows]

    async def get(self, tenant: str, name: str, version: int | None = None) -> StoredVersion:
        """Return a version, by default the newest; raise ApiError (404) if it does not exist."""
        if version is None:
            return await self._get_latest(self._database, tenant, name)
        row = await self._database.fetchrow(*SQL.version(tenant=tenant, name=name, version=version))
        if row is None:
            raise ApiError(404, "UnknownExperiment", f"There is no version {version} of {name!r}.")
        return parse_row(row)

    async def current(self, tenant: str, name: str) -> StoredVersion:
        """Return the version that runs or is paused, else the newest that was started, else the newest.

        Raise ApiError (404) if there is none.
        """
        latest = await self._get_latest(self._database, tenant, name)
        return await self._current(self._database, latest)

    async def running_or_recent(self) -> list[StoredVersion]:
        """Return running and paused experiments of all tenants, and those stopped within the last day."""
        return [parse_row(row) for row in await self._database.fetch(*SQL.running_or_recent())]

    async def live_beside(self, version: StoredVersion) -> list[StoredVersion]:
        """Return other experiments that run or are paused and may have people of a version."""
        layer = version.layer
        running = sorted(await self.running_or_recent(), key=lambda each: each.name)
        return [
            each
            for each in running
            if (each.tenant == version.tenant and each.name != version.name and each.stopped_at is None)
            and (layer is None or each.layer is None or layer.overlaps(each.layer))
        ]

    @asynccontextmanager
    async def _locked(
        self, tenant: str, name: str, author: Author
    ) -> AsyncIterator[tuple[Connection, StoredVersion]]:
        """Lock the tenant's experiments in a transaction; yield the version that runs, else the newest."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            latest = await self._get_latest(connection, tenant, name)
            check_revision(name, latest, author)
            yield connection, await self._current(connection, latest)

    async def _current(self, reader: Reader | Connection, latest: StoredVersion) -> StoredVersion:
        """Return the version that runs or is paused, else the newest that was started, else the newest."""
        parameters = {"tenant": latest.tenant, "name": latest.name}
        live = await self._find(reader, SQL.live(**parameters))
        return live or await self._find(reader, SQL.newest_started(**parameters)) or latest

    async def _end_live(self, connection: Connection, successor: StoredVersion, author: Author) -> None:
        """Stop the version that runs or is paused, unless it is the one that starts."""
        live = await self._find(connection, SQL.live(tenant=successor.tenant, name=successor.name))
        if live is None or live.version == successor.version:
            return
        await connection.execute(
            *SQL.set_status(
                tenant=live.tenant, name=live.name, version=live.version, status="stopped", decision=None
            )
        )
        details = {"before": live.status, "after": "stopped", "successor": successor.version}
        await self._log.add(connection, live, "stop", author, details)

    async def _find(self, reader: Reader | Connection, statement: Sequence[Any]) -> StoredVersion | None:
        row = await reader.fetchrow(*statement)
        return None if row is None else parse_row(row)

    async def _get_latest(self, reader: Reader | Connection, tenant: str, name: str) -> StoredVersion:
        latest = await self._find(reader, SQL.latest(tenant=tenant, name=name))
        if latest is None:
            detail = f"There is no experiment {name!r}. GET /v1/experiments lists those that exist."
            raise ApiError(404, "UnknownExperiment", detail)
        return latest
