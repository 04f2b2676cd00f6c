"""Erase users: what they did still counts, without any name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from services.analytics.domain.facts import digest
from services.analytics.domain.figures import Changes
from services.analytics.store.changes import write_changes
from services.analytics.store.purchases import Attribution, attribute
from services.analytics.store.sql import SQL
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS

if TYPE_CHECKING:
    from services.analytics.settings import Settings
    from services.analytics.store.lake_writer import LakeWriter
    from shared.kafka import Publisher
    from shared.postgres import Connection, Database

PUBLISH_SECONDS = 10.0


class Erasures:
    """Removes users and their sessions from facts; figures stay as they are. A repetition changes nothing."""

    def __init__(
        self, database: Database, publisher: Publisher, settings: Settings, lake: LakeWriter
    ) -> None:
        self._database = database
        self._lake = lake
        self._publisher = publisher
        self._rule = Attribution(settings.attribution_window, settings.attribution_touch)

    async def erase(self, request: UserErasureRequested) -> None:
        """Erase a user, and publish the receipt.

        Raises Transient while Kafka or the object store is unavailable.
        """
        rows, sessions = await self._erased(request)
        in_lake = await self._lake.erase(request, sessions)
        rows["event_lake"] = in_lake + rows.get("event_lake", 0)
        await self._database.execute(
            *SQL.save_erased_rows(tenant=request.tenant, user_id=request.user_id, rows=rows)
        )
        receipt = UserErased.of(request, "analytics", rows)
        await self._publisher.publish(ERASURE_RECEIPTS, [receipt], within=PUBLISH_SECONDS)

    async def _erased(self, request: UserErasureRequested) -> tuple[dict[str, int], list[str]]:
        """Erase facts; return the rows by table, those of earlier attempts included, and the sessions."""
        tenant, user_id = request.tenant, request.user_id
        changes = Changes()
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenants(tenants=[tenant]))
            logins = await connection.fetch(*SQL.sessions_of_user(tenant=tenant, user_id=user_id))
            sessions = sorted({*request.session_ids, *(row["session_id"] for row in logins)} - {user_id})
            subjects = await connection.fetch(
                *SQL.add_erased_subjects(
                    tenant=tenant,
                    subjects=sorted([user_id, *sessions]),
                    erasure_id=request.erasure_id,
                    erased_at=request.occurred_at,
                )
            )
            before = next(row["rows"] for row in subjects if row["subject"] == user_id)
            rows = await self._remove(connection, request, sessions, changes)
            total = before | {table: count + before.get(table, 0) for table, count in rows.items()}
            await connection.execute(*SQL.save_erased_rows(tenant=tenant, user_id=user_id, rows=total))
            await write_changes(connection, changes)
        return total, sessions

    async def _remove(
        self,
        connection: Connection,
        request: UserErasureRequested,
        sessions: Sequence[str],
        changes: Changes,
    ) -> dict[str, int]:
        tenant = request.tenant
        user: dict[str, Any] = {"tenant": tenant, "user_id": request.user_id, "session_ids": sessions}
        until = {"erased_at": request.occurred_at}
        purchases = await connection.fetch(*SQL.erase_purchases(**user, **until))
        touches = await connection.fetch(*SQL.erase_touches(**user, **until))
        reports = await connection.fetchval(*SQL.erase_from_reports(tenant=tenant, user_id=request.user_id))
        await connection.execute(*SQL.erase_logins(**user))
        names = [digest(tenant, subject) for subject in (request.user_id, *sessions)]
        visitors = await connection.fetch(*SQL.erase_visitors(tenant=tenant, visitors=names, **until))
        # Purchases of others, which shared a session, lose the touches that are deleted.
        shared = await connection.fetch(
            *SQL.purchases_attributed_to(
                tenant=tenant,
                ids=[row["recommendation_id"] for row in touches],
                item_ids=[row["item_id"] for row in touches],
            )
        )
        keys = {(row["tenant"], row["event_id"]) for row in shared}
        await attribute(connection, keys, self._rule, changes)
        return {
            "purchases": len(purchases),
            "touches": len(touches),
            "visitors": len(visitors),
            "reports": reports,
        }
