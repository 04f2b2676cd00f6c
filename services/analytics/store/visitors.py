"""Coverage: which visitors of a day got an answer, and which items were in answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from services.analytics.domain.facts import digest
from services.analytics.domain.figures import Changes, day_of
from services.analytics.store.sql import SQL, columns

if TYPE_CHECKING:
    from shared.events.servings import Serving
    from shared.postgres import Connection


async def add_visitors(
    connection: Connection, visits: Sequence[tuple[str, str, datetime]], changes: Changes, *, answered: bool
) -> None:
    """Add visits of (tenant, user or session, day); `answered` ones got an answer with it."""
    rows = [
        (tenant, day, digest(tenant, subject), not answered, answered)
        for tenant, subject, day in sorted(set(visits))
    ]
    if not rows:
        return
    parameters = columns("tenants days visitors active answered", rows)
    for row in await connection.fetch(*SQL.add_visitors(**parameters)):
        changes.measure_day(row["tenant"], row["day"], "visitors", row["visitors"])
        changes.measure_day(row["tenant"], row["day"], "answered_visitors", row["answered"])


async def add_answered_items(
    connection: Connection, served: Sequence[tuple[str, Serving]], changes: Changes
) -> None:
    """Add the items of answers to those of their days."""
    rows = sorted(
        {(tenant, day_of(each.served_at), item) for tenant, each in served for item in each.item_ids}
    )
    if not rows:
        return
    for row in await connection.fetch(*SQL.add_answered_items(**columns("tenants days item_ids", rows))):
        changes.measure_day(row["tenant"], row["day"], "answered_items", row["rows"])
