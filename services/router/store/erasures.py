"""Erasing users: what they were shown and did keeps counting, under a name that nobody has."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from services.router.store import SQL
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS

if TYPE_CHECKING:
    from shared.kafka import Publisher
    from shared.postgres import Database

PUBLISH_SECONDS = 10.0


class Erasures:
    """Removes the ids of users and of their sessions from experiments; a repetition changes nothing."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher

    async def erase(self, request: UserErasureRequested) -> None:
        """Rename the units of a user, and publish the receipt. Transient while Kafka is away."""
        rows = await self._renamed(request)
        receipt = UserErased.of(request, "router", rows)
        await self._publisher.publish(ERASURE_RECEIPTS, [receipt], within=PUBLISH_SECONDS)

    async def _renamed(self, request: UserErasureRequested) -> dict[str, int]:
        """Rename; gives how many rows, also those that an earlier attempt has renamed."""
        tenant, units = request.tenant, sorted({request.user_id, *request.session_ids})
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_counts())
            await connection.execute(*SQL.forget_erased_units())
            known = await connection.fetch(
                *SQL.add_erased_units(
                    tenant=tenant,
                    units=units,
                    erasure_id=request.erasure_id,
                    erased_at=request.occurred_at,
                )
            )
            rows = {"exposed_units": 0, "outcomes": 0}
            # The user first: an outcome that is renamed for user and session is one row of the receipt.
            for row in sorted(known, key=lambda each: each["unit"] != request.user_id):
                which = {
                    "tenant": tenant,
                    "unit": row["unit"],
                    "erased_at": request.occurred_at,
                    "name": f"erased:{uuid.uuid4().hex}",
                }
                exposed = await connection.fetch(*SQL.rename_exposed(**which))
                outcomes = await connection.fetch(*SQL.rename_outcomes(**which))
                await connection.execute(*SQL.rename_ties(**which))
                of_unit = {
                    "exposed_units": len(exposed) + row["rows"].get("exposed_units", 0),
                    "outcomes": len(outcomes) + row["rows"].get("outcomes", 0),
                }
                await connection.execute(*SQL.count_erased(tenant=tenant, unit=row["unit"], rows=of_unit))
                rows = {place: rows[place] + of_unit[place] for place in rows}
        return rows
