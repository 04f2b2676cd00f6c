"""Exposures, outcomes and logins in Postgres; writing one again changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from services.router.store import SQL

if TYPE_CHECKING:
    from shared.events import InteractionRecorded, VariantExposed
    from shared.postgres import Database

MAX_SESSION_EVENTS = 10_000
"""Events of an exposed session that are read to find its login. Arbitrary: few sessions have 1,000."""


class RecordedOutcome(NamedTuple):
    """An event of a user, or of a session without a user, while an experiment ran.

    `session_id` is the session of a user's event; None if `unit` is the session.
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
    order_id: str | None
    recommended: bool
    """True for an event that names an answer of the experiment."""
    item_id: str | None = None
    recommendation_id: str | None = None
    """The item and the answer that it names; only kept for interleaved answers."""


class Login(NamedTuple):
    """A user who logged in to a session. `takes_part`: whether one of the two is in an experiment."""

    tenant: str
    session_id: str
    user_id: str
    at: datetime
    takes_part: bool


class Correction(NamedTuple):
    """A correction of a unit's outcome by the shop's order; see `correct_outcomes` in queries.sql."""

    tenant: str
    event_id: str
    unit: str
    stays: bool
    session_id: str | None
    event_type: str
    value: float | None
    occurred_at: datetime


class _FirstExposure(NamedTuple):
    """The first exposure of a unit, its first one whose answer differs, and the facts of the first answer."""

    at: datetime
    triggered_at: datetime | None
    milliseconds: float | None
    fallback: bool | None
    device: str | None

    @classmethod
    def of(cls, event: VariantExposed, later: _FirstExposure | None) -> _FirstExposure:
        """Return that of an event and of what is known of later ones."""
        triggered_at = None if later is None else later.triggered_at
        facts = event.milliseconds, event.fallback, event.device
        if event.milliseconds is None and later is not None:
            facts = later[2:]
        return cls(event.occurred_at, event.occurred_at if event.differs else triggered_at, *facts)


class OutcomeStore:
    """Writes exposures, outcomes and logins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_exposures(self, events: Sequence[VariantExposed]) -> None:
        """Record which unit was exposed to which variant, and the logins of the units."""
        first: dict[tuple[str, str, int, str, str], _FirstExposure] = {}
        for event in sorted(events, key=lambda each: each.occurred_at, reverse=True):
            key = (event.tenant, event.experiment, event.experiment_version, event.unit, event.variant)
            first[key] = _FirstExposure.of(event, first.get(key))
        # A statement may not update a row twice, so a unit with two variants takes two statements.
        while first:
            batch = {key[:4]: (*key, *exposure) for key, exposure in first.items()}
            batch_rows = list(batch.values())
            for row in batch_rows:
                del first[row[:5]]
            columns = map(list, zip(*batch_rows, strict=True))
            tenants, experiments, versions, units, variants, times, triggers, *facts = columns
            milliseconds, fallbacks, devices = facts
            await self._database.execute(
                *SQL.record_exposures(
                    tenants=tenants,
                    experiments=experiments,
                    versions=versions,
                    units=units,
                    variants=variants,
                    times=times,
                    triggers=triggers,
                    milliseconds=milliseconds,
                    fallbacks=fallbacks,
                    devices=devices,
                )
            )
        await self._database.execute(
            *SQL.record_logins_of_exposed(
                tenants=[event.tenant for event in events],
                units=[event.unit for event in events],
                max_events=MAX_SESSION_EVENTS,
            )
        )

    async def record_logins(self, logins: Sequence[Login]) -> None:
        """Record which user logged in to a session; the first login of a session counts."""
        first: dict[tuple[str, str], Login] = {}
        for login in logins:
            kept = first.setdefault((login.tenant, login.session_id), login)
            if (login.at, login.user_id) < (kept.at, kept.user_id):
                first[login.tenant, login.session_id] = login
        if first:
            tenants, session_ids, user_ids, times, take_part = _columns(first.values())
            await self._database.execute(
                *SQL.record_logins(
                    tenants=tenants,
                    session_ids=session_ids,
                    user_ids=user_ids,
                    times=times,
                    take_part=take_part,
                )
            )

    async def with_login(self, events: Sequence[InteractionRecorded]) -> set[int]:
        """Return the indices of events whose user or session has a login."""
        rows = await self._database.fetch(
            *SQL.with_login(
                tenants=[event.tenant for event in events],
                user_ids=[event.user_id for event in events],
                session_ids=[event.session_id for event in events],
            )
        )
        return {row["position"] - 1 for row in rows}

    async def correct(self, rows: list[Correction]) -> None:
        """Correct outcomes that an order contradicts."""
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
        """Record outcomes; of several with the same event and version the first counts."""
        rows: dict[tuple[str, str, int, str], RecordedOutcome] = {}
        for outcome in outcomes:
            rows.setdefault(outcome[:4], outcome)
        if not rows:
            return
        # Sorted, so that two workers cannot deadlock.
        columns = _columns([rows[key] for key in sorted(rows)])
        tenants, experiments, versions, event_ids, units, session_ids, types, values, *rest = columns
        times, order_ids, recommended, item_ids, recommendation_ids = rest
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
                order_ids=order_ids,
                recommended=recommended,
                item_ids=item_ids,
                recommendation_ids=recommendation_ids,
            )
        )


def _columns(rows: Collection[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
