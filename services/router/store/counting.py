"""Exposures, outcomes, and the sessions of users, in Postgres: a repetition changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from services.router.store import SQL

if TYPE_CHECKING:
    from shared.events import InteractionRecorded
    from shared.postgres import Database

MOST_EVENTS = 10_000
"""Events of an exposed session that are read to find who logged in to it. Arbitrary: few have 1,000."""


class RecordedOutcome(NamedTuple):
    """An outcome of a user, or of a session without a user, while an experiment ran.

    `session_id` is the session of a user's event; None where `unit` is the session.
    """

    tenant: str
    experiment: str
    version: int
    event_id: str
    unit: str
    session_id: str | None
    event_type: str
    value: float | None
    occurred_at: datetime


class Tie(NamedTuple):
    """A login: the user in this session. `takes_part`: whether one of the two takes part in an experiment."""

    tenant: str
    session_id: str
    user_id: str
    at: datetime
    takes_part: bool


class Correction(NamedTuple):
    """The correction of an outcome that a unit claimed, by the shop's order; see `correct_outcomes`."""

    tenant: str
    event_id: str
    unit: str
    stays: bool
    session_id: str | None
    event_type: str
    value: float | None
    occurred_at: datetime


class Counting:
    """Counts exposures and what followed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expose(self, rows: list[tuple[str, str, int, str, str, datetime]]) -> None:
        """Record exposures: rows of (tenant, experiment, version, unit, variant, time)."""
        first: dict[tuple[str, str, int, str, str], datetime] = {}
        for tenant, name, version, unit, variant, at in rows:
            key = (tenant, name, version, unit, variant)
            first[key] = min(at, first.get(key, at))
        # One statement may not touch a row twice, so a unit with two variants takes two.
        while first:
            batch = {key[:4]: (*key, at) for key, at in first.items()}
            chosen = list(batch.values())
            for row in chosen:
                del first[row[:5]]
            tenants, experiments, versions, units, variants, times = map(list, zip(*chosen, strict=True))
            await self._database.execute(
                *SQL.expose(
                    tenants=tenants,
                    experiments=experiments,
                    versions=versions,
                    units=units,
                    variants=variants,
                    times=times,
                )
            )
        await self._database.execute(
            *SQL.tie_exposed(
                tenants=[row[0] for row in rows], units=[row[3] for row in rows], most=MOST_EVENTS
            )
        )

    async def tie(self, ties: Sequence[Tie]) -> None:
        """Keep who logged in to which session; the first login of a session holds."""
        first: dict[tuple[str, str], Tie] = {}
        for tie in ties:
            kept = first.setdefault((tie.tenant, tie.session_id), tie)
            if (tie.at, tie.user_id) < (kept.at, kept.user_id):
                first[tie.tenant, tie.session_id] = tie
        if first:
            tenants, session_ids, user_ids, times, take_part = _columns(first.values())
            await self._database.execute(
                *SQL.tie_sessions(
                    tenants=tenants,
                    session_ids=session_ids,
                    user_ids=user_ids,
                    times=times,
                    take_part=take_part,
                )
            )

    async def tied(self, events: Sequence[InteractionRecorded]) -> set[int]:
        """Return the indices of events of which the user, or the session, has a tie."""
        rows = await self._database.fetch(
            *SQL.tied(
                tenants=[event.tenant for event in events],
                user_ids=[event.user_id for event in events],
                session_ids=[event.session_id for event in events],
            )
        )
        return {row["place"] - 1 for row in rows}

    async def correct(self, rows: list[Correction]) -> None:
        """Take claims back that an order contradicts."""
        if not rows:
            return
        tenants, event_ids, units, stays, session_ids, types, values, times = _columns(rows)
        await self._database.execute(
            *SQL.correct_outcomes(
                tenants=tenants,
                event_ids=event_ids,
                units=units,
                stays=stays,
                session_ids=session_ids,
                event_types=types,
                values=values,
                times=times,
            )
        )

    async def record(self, outcomes: Sequence[RecordedOutcome]) -> None:
        """Keep what users and sessions did; of several rows of one event and version the first."""
        rows: dict[tuple[str, str, int, str], RecordedOutcome] = {}
        for outcome in outcomes:
            rows.setdefault(outcome[:4], outcome)
        if not rows:
            return
        # In one order everywhere, so that two workers never wait for each other.
        columns = _columns([rows[key] for key in sorted(rows)])
        tenants, experiments, versions, event_ids, units, session_ids, types, values, times = columns
        await self._database.execute(
            *SQL.record_outcomes(
                tenants=tenants,
                experiments=experiments,
                versions=versions,
                event_ids=event_ids,
                units=units,
                session_ids=session_ids,
                event_types=types,
                values=values,
                times=times,
            )
        )


def _columns(rows: Collection[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
