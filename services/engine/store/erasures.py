"""The erasure of users in all services: the requests, and what each service has confirmed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.engine.store.statements import SQL
from shared import outbox
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURES

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


async def request(connection: Connection, job: int, tenant: str, users: Sequence[str]) -> list[str]:
    """Request the erasure of users for a job; return the users of whom it was not requested before."""
    rows = await connection.fetch(*SQL.request_erasures(job=job, tenant=tenant, users=list(users)))
    requested: dict[str, datetime] = {row["user_id"]: row["requested_at"] for row in rows}
    if not requested:
        return []
    sessions = {
        row["user_id"]: tuple(row["session_ids"])
        for row in await connection.fetch(*SQL.sessions_of(tenant=tenant, users=list(requested)))
    }
    events = [
        UserErasureRequested(
            event_id=f"erasure-{job}-{user_id}"[:256],
            tenant=tenant,
            occurred_at=at,
            erasure_id=str(job),
            user_id=user_id,
            session_ids=sessions.get(user_id, ()),
        )
        for user_id, at in requested.items()
    ]
    await outbox.append(connection, ERASURES, events)
    return list(requested)


async def users_of(database: Database, job: int) -> list[str]:
    """Return the users of a job."""
    return [row["user_id"] for row in await database.fetch(*SQL.erasures_of_job(job=job))]


async def confirm(database: Database, receipts: Sequence[UserErased]) -> None:
    """Save receipts of services; those of unknown erasures are ignored."""
    known = [receipt for receipt in receipts if receipt.erasure_id.isdigit()]
    await database.execute(
        *SQL.add_erasure_receipts(
            jobs=[int(receipt.erasure_id) for receipt in known],
            users=[receipt.user_id for receipt in known],
            services=[receipt.service for receipt in known],
            rows=[dict(receipt.rows) for receipt in known],
            times=[receipt.occurred_at for receipt in known],
            tenants=list({receipt.tenant for receipt in known}),
        )
    )


async def unconfirmed(database: Database, job: int, services: Sequence[str]) -> dict[str, int]:
    """Return by service how many users of a job it has not confirmed; services that are done are left out."""
    requested = int(await database.fetchval(*SQL.count_erasures(job=job)))
    confirmed = {row["service"]: row["users"] for row in await database.fetch(*SQL.erasure_counts(job=job))}
    remaining = {service: requested - confirmed.get(service, 0) for service in services}
    return {service: users for service, users in remaining.items() if users > 0}


async def receipt(connection: Connection | Database, job: int) -> dict[str, dict[str, Any]]:
    """Return by service how many users it has erased, when, and how many rows of which kind."""
    return {
        row["service"]: {
            "users": row["users"],
            "erasedAt": row["erased_at"].isoformat(),
            "rows": row["rows"],
        }
        for row in await connection.fetch(*SQL.erasure_rows(job=job))
    }


async def finish(connection: Connection, job: int) -> None:
    """Record that all data of the users of a job was erased."""
    await connection.execute(*SQL.finish_erasures(job=job))


async def withdraw_finished(database: Database) -> int:
    """Withdraw the requests of erasures that finished an hour ago or earlier; return the number of users."""
    async with database.transaction() as connection:
        users: dict[str, list[str]] = defaultdict(list)
        for row in await connection.fetch(*SQL.erasures_to_end()):
            users[row["tenant"]].append(row["user_id"])
        for tenant, user_ids in users.items():
            for user_id in user_ids:
                await outbox.append_tombstone(connection, ERASURES, tenant, f"{tenant}:{user_id}")
            await connection.execute(*SQL.drop_erasures(tenant=tenant, users=user_ids))
    return sum(map(len, users.values()))
