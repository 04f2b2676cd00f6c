"""The states of items and users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.sync.domain.catalogue import Record, State, item_changed, parse_times, user_changed
from services.sync.domain.limits import Quotas
from services.sync.store.statements import SQL
from shared import outbox
from shared.events.field_aliases import ITEM_FIELDS, USER_FIELDS
from shared.events.topics import ITEMS, USERS

if TYPE_CHECKING:
    import asyncpg

    from shared.postgres import Connection, Database


HEADROOM = 10_000
"""New items or users beyond the quota that are merged if the tracker has accepted them, since it only sees
those that are merged. As many as a key may put in ten seconds (100 calls per second of 10 items)."""


class Catalogue:
    """The items and users of tenants. A merge holds the tenant's lock until its transaction ends."""

    def __init__(self, database: Database, quotas: Quotas) -> None:
        self._database = database
        self._quotas = quotas

    async def publish_quotas(self) -> None:
        """Store the quotas of items and users, for the tracker, which accepts puts."""
        await self._database.execute(
            *SQL.save_quotas(items=self._quotas.max_items, users=self._quotas.max_users)
        )

    async def lock(self, connection: Connection, tenant: str) -> None:
        """Lock the tenant's catalogue until the transaction ends, as every merge does."""
        await connection.execute(*SQL.lock_catalogue(tenant=tenant))

    async def items_to_merge(
        self, connection: Connection, tenant: str, ids: Sequence[str], *, accepted: bool = False
    ) -> dict[str, State]:
        """Lock the tenant's catalogue, and return the states of items, including new ones.

        `accepted` items are those of puts answered with 2xx: they may exceed the quota by `HEADROOM`.
        """
        await connection.execute(*SQL.lock_catalogue(tenant=tenant))
        rows = await connection.fetch(*SQL.items(tenant=tenant, ids=list(ids)))
        states = _states(rows, ids, ITEM_FIELDS)
        quota = self._quotas.max_items
        await self._reject_beyond_quota(
            connection, tenant, states, "items", quota, HEADROOM if accepted else 0
        )
        return states

    async def users_to_merge(
        self, connection: Connection, tenant: str, ids: Sequence[str], *, accepted: bool = False
    ) -> dict[str, State]:
        """Return the states of users, including new ones, as `items_to_merge` does those of items."""
        await connection.execute(*SQL.lock_catalogue(tenant=tenant))
        rows = await connection.fetch(*SQL.users(tenant=tenant, ids=list(ids)))
        states = _states(rows, ids, USER_FIELDS)
        quota = self._quotas.max_users
        await self._reject_beyond_quota(
            connection, tenant, states, "users", quota, HEADROOM if accepted else 0
        )
        return states

    async def save_items(self, connection: Connection, tenant: str, states: Mapping[str, State]) -> int:
        """Write the merged states and publish those that changed; return how many items changed."""
        touched = [state for state in states.values() if state.needs_save]
        changed = [state for state in touched if state.is_changed]
        if touched:
            await connection.execute(
                *SQL.save_items(
                    tenant=tenant,
                    ids=[state.id for state in touched],
                    names=_column(touched, "name"),
                    categories=_column(touched, "category"),
                    prices=_column(touched, "price"),
                    currencies=_column(touched, "currency"),
                    availables=_column(touched, "available"),
                    created_ats=_column(touched, "created_at"),
                    attributes=[state.attributes for state in touched],
                    times=[state.times for state in touched],
                    records=[_stored(state.record) for state in touched],
                    changed_ids=[state.id for state in changed],
                )
            )
        now = datetime.now(UTC)
        events = [item_changed(tenant, state, now) for state in changed]
        await outbox.append(connection, ITEMS, events)
        return len(changed)

    async def save_users(self, connection: Connection, tenant: str, states: Mapping[str, State]) -> int:
        """Write the merged states and publish those that changed; return how many users changed."""
        touched = [state for state in states.values() if state.needs_save]
        changed = [state for state in touched if state.is_changed]
        if touched:
            await connection.execute(
                *SQL.save_users(
                    tenant=tenant,
                    ids=[state.id for state in touched],
                    names=_column(touched, "name"),
                    cities=_column(touched, "city"),
                    provinces=_column(touched, "province"),
                    countries=_column(touched, "country"),
                    attributes=[state.attributes for state in touched],
                    times=[state.times for state in touched],
                    records=[_stored(state.record) for state in touched],
                    changed_ids=[state.id for state in changed],
                )
            )
        now = datetime.now(UTC)
        events = [user_changed(tenant, state, now) for state in changed]
        await outbox.append(connection, USERS, events)
        return len(changed)

    async def delete_item(self, tenant: str, item_id: str) -> bool:
        """Delete an item and publish its tombstone; return whether it existed."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_catalogue(tenant=tenant))
            known = await connection.fetchval(*SQL.delete_item(tenant=tenant, item_id=item_id))
            if known is None:
                return False
            await outbox.append_tombstone(connection, ITEMS, tenant, f"{tenant}:{item_id}")
        return True

    async def _reject_beyond_quota(
        self,
        connection: Connection,
        tenant: str,
        states: Mapping[str, State],
        kind: str,
        quota: int,
        headroom: int,
    ) -> None:
        """Mark the new states that exceed the tenant's quota and `headroom` as rejected."""
        new = [state for state in states.values() if state.is_new]
        if not new:
            return
        count = await connection.fetchval(*SQL.catalogue_count(tenant=tenant, kind=kind)) or 0
        for state in new[max(0, quota + headroom - count) :]:
            state.rejection = (
                f"{state.id!r} is new, and {tenant!r} has {count:,} {kind}; its limit is {quota:,}. "
                f"Delete some, or raise SYNC_MAX_{kind.upper()}"
            )

    async def item(self, tenant: str, item_id: str) -> dict[str, Any] | None:
        """Return an item for display, or None."""
        row = await self._database.fetchrow(*SQL.items(tenant=tenant, ids=[item_id]))
        return None if row is None else _shown(row, "item_id")

    async def user(self, tenant: str, user_id: str) -> dict[str, Any] | None:
        """Return a user for display, or None."""
        row = await self._database.fetchrow(*SQL.users(tenant=tenant, ids=[user_id]))
        return None if row is None else _shown(row, "user_id")


def _states(rows: Sequence[asyncpg.Record], ids: Sequence[str], fields: Sequence[str]) -> dict[str, State]:
    stored = {
        row["id"]: State(
            id=row["id"],
            fields={name: row[name] for name in fields},
            attributes=row["attributes"],
            times=row["times"],
            record=_record(row["record"]),
        )
        for row in rows
    }
    return {identity: stored.get(identity) or State(identity, is_new=True) for identity in ids}


def _record(stored: Mapping[str, Any] | None) -> Record | None:
    if stored is None:
        return None
    fields, own_fields = parse_times(stored["fields"]), parse_times(stored["own_fields"])
    return Record(stored["at"], fields, stored["attributes"], own_fields, stored["own_attributes"])


def _stored(record: Record | None) -> dict[str, Any] | None:
    return None if record is None else asdict(record)


def _column(states: Sequence[State], field: str) -> list[Any]:
    return [state.fields.get(field) for state in states]


def _shown(row: asyncpg.Record, identity: str) -> dict[str, Any]:
    shown = dict(row)
    del shown["times"], shown["record"]
    return {identity: shown.pop("id"), **shown}
