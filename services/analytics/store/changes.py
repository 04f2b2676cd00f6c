"""Write changes of figures and measures."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from services.analytics.domain.figures import COUNTS, Changes
from services.analytics.store.sql import SQL, columns

if TYPE_CHECKING:
    from shared.postgres import Connection

_ZERO = Decimal(0)


async def write_changes(connection: Connection, changes: Changes) -> None:
    """Add changes to the figures of hours and days, in the transaction that stores the facts."""
    figures = [
        (*bucket, *(amounts.get(name, _ZERO) for name in COUNTS))
        for bucket, amounts in changes.figures.items()
        if any(amounts.values())
    ]
    if figures:
        names = f"tenants hours series_ids {' '.join(COUNTS)}"
        await connection.execute(*SQL.add_figures(**columns(names, figures)))
    measures = [(*key, value) for key, value in changes.measures.items() if value]
    if measures:
        parameters = columns("tenants hours names values", measures)
        await connection.execute(*SQL.add_measures(**parameters))
    days = [(*key, value) for key, value in changes.days.items() if value]
    if days:
        await connection.execute(*SQL.add_day_measures(**columns("tenants days names values", days)))
