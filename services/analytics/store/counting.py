"""Count answers and events: facts and figures change in one transaction, each fact once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from services.analytics.domain.facts import digest, is_recent_answer, login, marks, time_of, touch, type_name
from services.analytics.domain.figures import FALLBACK_SOURCE, Answer, Changes, day_of, hour_of
from services.analytics.metrics import EVENTS, OUTDATED, SERVINGS
from services.analytics.store.answers import add_answers, mark_items, take_early_marks
from services.analytics.store.changes import write_changes
from services.analytics.store.freshness import events_freshness, servings_freshness
from services.analytics.store.purchases import Attribution, Person, attribute, purchases_of, put_purchases
from services.analytics.store.series import Series, series_ids
from services.analytics.store.sql import SQL, columns
from services.analytics.store.visitors import add_answered_items, add_visitors

if TYPE_CHECKING:
    from services.analytics.settings import Settings
    from shared.events import InteractionRecorded
    from shared.events.servings import RecommendationServed, Serving
    from shared.postgres import Connection, Database

Subjects = dict[tuple[str, str], datetime]
"""(tenant, user or session) → the time up to which everything is erased."""


class Counting:
    """Counts answers and events. A repetition, a restart or another order of records changes no figure."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._rule = Attribution(settings.attribution_window, settings.attribution_touch)

    async def add_servings(self, records: Sequence[RecommendationServed]) -> None:
        """Count answers that are new, and what was seen and bought of them before they arrived."""
        served = [
            (record.tenant, each) for record in records for each in record.servings if each.shadow is None
        ]
        if not served:
            return
        changes = Changes()
        async with self._database.transaction() as connection:
            oldest = await self._lock(connection, {tenant for tenant, _ in served})
            recent = [(tenant, each) for tenant, each in served if each.served_at >= oldest]
            OUTDATED.inc(len(served) - len(recent))
            answers = await _answers(connection, recent)
            new = await add_answers(connection, answers, changes)
            if new:
                await self._follow_up(connection, recent, new, changes)
            await write_changes(connection, changes)
        SERVINGS.inc(len(new))

    async def _follow_up(
        self,
        connection: Connection,
        served: Sequence[tuple[str, Serving]],
        new: set[tuple[str, str]],
        changes: Changes,
    ) -> None:
        """Count whom new answers reached, and join them with what arrived earlier."""
        fresh = [(tenant, each) for tenant, each in served if (tenant, each.recommendation_id) in new]
        await mark_items(connection, await take_early_marks(connection, new), changes)
        await add_answered_items(connection, fresh, changes)
        answered = [(tenant, each.subject, each.served_at) for tenant, each in fresh if each.subject]
        erased = await erased_among(connection, [(tenant, subject) for tenant, subject, _ in answered])
        visits = [
            (tenant, subject, day_of(at))
            for tenant, subject, at in answered
            if not _is_erased(erased, tenant, (subject,), at)
        ]
        await add_visitors(connection, visits, changes, answered=True)
        await servings_freshness(connection, fresh)
        await self._attribute_touches(connection, new, set(), changes)

    async def add_events(self, events: Sequence[InteractionRecorded]) -> None:
        """Count events that are new, and attribute purchases to the touches that are known now."""
        events = [event for event in events if not event.historical and event.withheld is None]
        if not events:
            return
        changes = Changes()
        async with self._database.transaction() as connection:
            oldest = await self._lock(connection, {event.tenant for event in events})
            recent = [event for event in events if time_of(event) >= oldest]
            OUTDATED.inc(len(events) - len(recent))
            kept = await _without_erased(connection, recent)
            counted = await _count_events(connection, kept, changes)
            await self._add_facts(connection, kept, changes)
            await events_freshness(connection, kept)
            await write_changes(connection, changes)
        EVENTS.inc(counted)

    async def _add_facts(
        self, connection: Connection, events: Sequence[InteractionRecorded], changes: Changes
    ) -> None:
        types, window = self._settings.click_types, self._rule.window
        naming = [
            event
            for event in events
            if event.recommendation_id is not None
            and event.replaces is None
            and is_recent_answer(event.recommendation_id, time_of(event), window)
        ]
        await mark_items(connection, [mark for event in naming for mark in marks(event, types)], changes)
        stored = await put_purchases(
            connection, [event for event in events if event.event_type == "purchase"], changes
        )
        touches = [each for event in naming if (each := touch(event, types))]
        touches += [
            each
            for each in stored.touches
            if is_recent_answer(each.recommendation_id, each.occurred_at, window)
        ]
        if touches:
            names = "tenants event_ids purchases ids item_ids user_ids session_ids times"
            await connection.execute(*SQL.add_touches(**columns(names, touches)))
        logins = [pair for event in events if event.replaces is None and (pair := login(event))]
        persons = await _add_logins(connection, [*logins, *stored.logins])
        affected = stored.keys | await purchases_of(connection, persons)
        answers = {(each.tenant, each.recommendation_id) for each in touches}
        await self._attribute_touches(connection, answers, affected, changes)

    async def _attribute_touches(
        self,
        connection: Connection,
        answers: set[tuple[str, str]],
        affected: set[tuple[str, str]],
        changes: Changes,
    ) -> None:
        """Place touches of answers that are known, and attribute the purchases that they or others affect."""
        if answers:
            rows = await connection.fetch(*SQL.place_touches(**columns("tenants ids", sorted(answers))))
            persons: set[Person] = {tuple(row) for row in rows}
            affected = affected | await purchases_of(connection, persons)
        await attribute(connection, affected, self._rule, changes)

    async def _lock(self, connection: Connection, tenants: set[str]) -> datetime:
        """Lock the figures of one or more tenants, and return the time before which nothing counts."""
        now: datetime = await connection.fetchval(*SQL.lock_tenants(tenants=sorted(tenants)))
        return now - self._settings.facts_kept


async def erased_among(connection: Connection, subjects: Iterable[tuple[str, str]]) -> Subjects:
    """Return which of these (tenant, user or session) are erased, and up to when."""
    keys = sorted(set(subjects))
    if not keys:
        return {}
    rows = await connection.fetch(*SQL.erased_among(**columns("tenants subjects", keys)))
    return {(row["tenant"], row["subject"]): row["erased_at"] for row in rows}


def _is_erased(erased: Subjects, tenant: str, subjects: Iterable[str | None], at: datetime) -> bool:
    return any(at <= erased[tenant, each] for each in subjects if each and (tenant, each) in erased)


async def _without_erased(
    connection: Connection, events: Sequence[InteractionRecorded]
) -> list[InteractionRecorded]:
    subjects = [(event.tenant, event.subject) for event in events]
    erased = await erased_among(connection, subjects)
    if not erased:
        return [*events]
    return [
        event for event in events if not _is_erased(erased, event.tenant, (event.subject,), time_of(event))
    ]


async def _answers(connection: Connection, served: Sequence[tuple[str, Serving]]) -> list[Answer]:
    """Return answers, the first of each id, with the ids of their series."""
    first: dict[tuple[str, str], Serving] = {}
    for tenant, serving in served:
        first.setdefault((tenant, serving.recommendation_id), serving)
    series_by_answer = {key: _series_of(key[0], serving) for key, serving in first.items()}
    ids = await series_ids(
        connection, (each for whole, items in series_by_answer.values() for each in (whole, *items))
    )
    return [
        Answer(
            tenant,
            recommendation_id,
            serving.served_at,
            ids[series_by_answer[tenant, recommendation_id][0]],
            serving.item_ids,
            [ids[each] for each in series_by_answer[tenant, recommendation_id][1]],
            serving.source == FALLBACK_SOURCE,
            serving.source,
        )
        for (tenant, recommendation_id), serving in sorted(first.items())
    ]


def _series_of(tenant: str, serving: Serving) -> tuple[Series, list[Series]]:
    """Return the series of an answer, and that of each item; one strategy stands for all items."""
    whole = Series(
        tenant,
        serving.surface,
        serving.placement,
        None,
        serving.experiment,
        serving.experiment_version,
        serving.variant,
    )
    strategies = serving.strategies
    if len(strategies) != len(serving.item_ids):
        strategies = (strategies[0] if strategies else "",) * len(serving.item_ids)
    return whole, [whole._replace(strategy=each) for each in strategies]


async def _count_events(
    connection: Connection, events: Sequence[InteractionRecorded], changes: Changes
) -> int:
    """Count each event once by type and hour, and its visitor; return the number of new events."""
    # A correction repeats an order line under its id, which the line itself has counted or will count.
    counted = {
        (event.tenant, digest(event.tenant, event.event_id)): event
        for event in events
        if event.replaces is None
    }
    if not counted:
        return 0
    times = {key: time_of(event) for key, event in counted.items()}
    rows = await connection.fetch(
        *SQL.count_events(
            **columns(
                "tenants keys names hours",
                [
                    (*key, type_name(counted[key].event_type), hour_of(times[key]))
                    for key in sorted(counted, key=lambda key: (key[0], key[1].int))
                ],
            )
        )
    )
    for row in rows:
        changes.measure(row["tenant"], row["hour"], f"events:{row['name']}", row["rows"])
    visits = [(event.tenant, event.subject, day_of(times[key])) for key, event in counted.items()]
    await add_visitors(connection, visits, changes, answered=False)
    return sum(row["rows"] for row in rows)


async def _add_logins(
    connection: Connection, logins: Iterable[tuple[str, str, str, datetime]]
) -> set[Person]:
    """Store logins; return the persons of the sessions that are new for their users."""
    newest: dict[tuple[str, str, str], datetime] = {}
    for tenant, session_id, user_id, at in logins:
        key = (tenant, session_id, user_id)
        newest[key] = max(at, newest.get(key, at))
    if not newest:
        return set()
    rows = [(*key, at) for key, at in sorted(newest.items())]
    stored = await connection.fetch(*SQL.add_logins(**columns("tenants session_ids user_ids times", rows)))
    return {(row["tenant"], None, row["session_id"], None) for row in stored if row["is_new"]}
