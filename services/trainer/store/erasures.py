"""Erasure requests of users whose rows are in the files of runs, in Postgres."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from services.trainer.store.sql import SQL
from shared import outbox
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS

if TYPE_CHECKING:
    from shared.postgres import Database


class Erasures:
    """Pending erasures, from the request to the receipt."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, request: UserErasureRequested) -> None:
        """Store a request, once."""
        await self._database.execute(
            *SQL.add_erasure(
                tenant=request.tenant,
                user_id=request.user_id,
                erasure_id=request.erasure_id,
                requested_at=request.occurred_at,
                request=request.model_dump(mode="json"),
            )
        )

    async def due(self, load_seconds: float) -> list[tuple[str, datetime]]:
        """Return (tenant, time) of erasures whose earlier runs ended at least `load_seconds` ago."""
        rows = await self._database.fetch(*SQL.erasures_due(load_seconds=load_seconds))
        return [(row["tenant"], row["requested_at"]) for row in rows]

    async def runs_before(self, tenant: str, before: datetime) -> list[int]:
        """Return the ended runs that started before a time and have files."""
        return [
            row["run"] for row in await self._database.fetch(*SQL.runs_before(tenant=tenant, before=before))
        ]

    async def end(self, tenant: str, before: datetime, runs: int) -> None:
        """End the erasures up to a time, and publish their receipts with the number of `runs` with files."""
        async with self._database.transaction() as connection:
            ended = await connection.fetch(*SQL.end_erasures(tenant=tenant, before=before))
            receipts = [
                UserErased.of(
                    UserErasureRequested.model_validate(row["request"]), "trainer", {"runs_with_files": runs}
                )
                for row in ended
            ]
            await outbox.append(connection, ERASURE_RECEIPTS, receipts)
