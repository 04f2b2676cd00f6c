"""Erase users: their exposures and outcomes still count, under a random name."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from services.router.store import SQL
from services.router.store.change_log import parse_row
from shared import outbox
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS, EXPERIMENTS

if TYPE_CHECKING:
    from shared.kafka import Publisher
    from shared.postgres import Connection, Database

PUBLISH_TIMEOUT_SECONDS = 10.0


class Erasures:
    """Removes the ids of users and of their sessions from experiments; repeating it changes nothing."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher

    async def erase(self, request: UserErasureRequested) -> None:
        """Rename the units of a user, and publish the receipt; raise Transient while Kafka is unavailable."""
        rows = await self._rename(request)
        receipt = UserErased.of(request, "router", rows)
        await self._publisher.publish(ERASURE_RECEIPTS, [receipt], within=PUBLISH_TIMEOUT_SECONDS)

    async def _rename(self, request: UserErasureRequested) -> dict[str, int]:
        """Return the number of renamed rows, including those that an earlier attempt has renamed."""
        tenant, units = request.tenant, sorted({request.user_id, *request.session_ids})
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_counts())
            await connection.execute(*SQL.forget_erased_units())
            erased_units = await connection.fetch(
                *SQL.add_erased_units(
                    tenant=tenant,
                    units=units,
                    erasure_id=request.erasure_id,
                    erased_at=request.occurred_at,
                )
            )
            rows = {"exposed_units": 0, "outcomes": 0}
            # The user first: an outcome of the user and of a session is one row of the receipt.
            for row in sorted(erased_units, key=lambda each: each["unit"] != request.user_id):
                parameters = {
                    "tenant": tenant,
                    "unit": row["unit"],
                    "erased_at": request.occurred_at,
                    "name": f"erased:{uuid.uuid4().hex}",
                }
                exposed = await connection.fetch(*SQL.rename_exposed(**parameters))
                outcomes = await connection.fetch(*SQL.rename_outcomes(**parameters))
                await connection.execute(*SQL.rename_interleaved(**parameters))
                await connection.execute(*SQL.rename_window_exposures(**parameters))
                await connection.execute(*SQL.rename_logins(**parameters))
                await self._unforce(connection, tenant, row["unit"])
                of_unit = {
                    "exposed_units": len(exposed) + row["rows"].get("exposed_units", 0),
                    "outcomes": len(outcomes) + row["rows"].get("outcomes", 0),
                }
                await connection.execute(*SQL.count_erased(tenant=tenant, unit=row["unit"], rows=of_unit))
                rows = {table: count + of_unit[table] for table, count in rows.items()}
        return rows

    async def _unforce(self, connection: Connection, tenant: str, unit: str) -> None:
        """Remove a unit from the forced units of experiments, and announce their states."""
        changed = [parse_row(row) for row in await connection.fetch(*SQL.unforce(tenant=tenant, unit=unit))]
        for version in changed:
            newest = await connection.fetchrow(*SQL.newest_started(tenant=tenant, name=version.name))
            if newest is not None and newest["version"] == version.version:
                await outbox.append(connection, EXPERIMENTS, [version.changed()])
