"""The newest events and answers that were counted, by tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from services.analytics.domain.facts import time_of
from services.analytics.metrics import NEWEST_EVENT
from services.analytics.store.sql import SQL, columns

if TYPE_CHECKING:
    from shared.events import InteractionRecorded
    from shared.events.servings import Serving
    from shared.postgres import Connection, Database

_NAMES = "tenants events purchases answers histories generations"


async def events_freshness(connection: Connection, events: Sequence[InteractionRecorded]) -> None:
    """Note the times of the newest event and purchase of each tenant."""
    newest: dict[str, list[datetime | None]] = {}
    for event in events:
        times = newest.setdefault(event.tenant, [None, None])
        at = time_of(event)
        if times[0] is None or at > times[0]:
            times[0] = at
        if event.event_type == "purchase" and (times[1] is None or at > times[1]):
            times[1] = at
    rows = [(tenant, *times, None, None, None) for tenant, times in sorted(newest.items())]
    if rows:
        await connection.execute(*SQL.add_freshness(**columns(_NAMES, rows)))


async def servings_freshness(connection: Connection, served: Sequence[tuple[str, Serving]]) -> None:
    """Note the newest answer, the newest event that one was scored with, and the newest generation."""
    by_tenant: dict[str, list[Serving]] = {}
    for tenant, serving in served:
        by_tenant.setdefault(tenant, []).append(serving)
    rows = [
        (
            tenant,
            None,
            None,
            max(each.served_at for each in servings),
            max((each.newest_event_at for each in servings if each.newest_event_at), default=None),
            max((each.generation for each in servings if each.generation), default=None),
        )
        for tenant, servings in sorted(by_tenant.items())
    ]
    if rows:
        await connection.execute(*SQL.add_freshness(**columns(_NAMES, rows)))


async def show_newest_events(database: Database) -> None:
    """Set the gauge of each tenant's newest event; every worker shows all of them."""
    rows = await database.fetch(*SQL.newest_events())
    NEWEST_EVENT.clear()
    for row in rows:
        NEWEST_EVENT.labels(row["tenant"]).set(row["newest_event_at"].timestamp())
