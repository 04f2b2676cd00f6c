"""Placements in Postgres, and the events that announce their changes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.engine.store.statements import SQL
from shared import outbox
from shared.errors import ApiError
from shared.events import PlacementChanged
from shared.events.placements import Placement
from shared.events.topics import PLACEMENTS
from shared.filters.placement_definitions import Names

if TYPE_CHECKING:
    from asyncpg import Record

    from shared.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class StoredPlacement:
    """A placement with its revision; `changed_by` identifies the key of the last change."""

    name: str
    revision: int
    placement: Placement
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True)
class Placements:
    """The placements of one tenant."""

    database: Database
    tenant: str

    async def all(self) -> list[StoredPlacement]:
        """Return the placements that the tenant defined, by name."""
        return [_stored(row) for row in await self.database.fetch(*SQL.placements(tenant=self.tenant))]

    async def find(self, name: str) -> StoredPlacement | None:
        """Return a placement that the tenant defined, or None."""
        row = await self.database.fetchrow(*SQL.placement(tenant=self.tenant, name=name))
        return None if row is None else _stored(row)

    async def names(self) -> Names:
        """Return the campaigns and filters that a definition may refer to."""
        rows = await self.database.fetch(*SQL.placement_references(tenant=self.tenant))
        return Names(
            frozenset(row["name"] for row in rows if row["expression"] is None),
            {row["name"]: row["expression"] for row in rows if row["expression"] is not None},
        )

    async def put(
        self, name: str, placement: Placement, *, changed_by: str, expected: int | None, most: int
    ) -> tuple[StoredPlacement, bool]:
        """Store a definition and announce it; return the placement, and whether it is new.

        An equal definition changes nothing. `expected` is the revision that the caller has seen, 0 for none.
        Raise ApiError: 412 if the revision is another one, 409 if the tenant has `most` placements, 403 if
        the tenant was deleted.
        """
        async with self.database.transaction() as connection:
            before = await self._locked(connection, name, expected)
            if before is not None and before["definition"] is not None:
                if Placement.model_validate(before["definition"]) == placement:
                    row = await connection.fetchrow(*SQL.placement(tenant=self.tenant, name=name))
                    assert row is not None
                    return _stored(row), False
            elif await connection.fetchval(*SQL.count_placements(tenant=self.tenant)) >= most:
                detail = f"A tenant may have {most} placements: delete some, or raise ENGINE_MAX_PLACEMENTS."
                raise ApiError(409, "LimitExceeded", detail)
            revision = 1 if before is None else before["revision"] + 1
            row = await self._write(connection, name, revision, placement, changed_by)
            stored = _stored(row)
            await outbox.append(connection, PLACEMENTS, [placement_changed(self.tenant, stored)])
            return stored, before is None or before["definition"] is None

    async def delete(self, name: str, *, changed_by: str, expected: int | None) -> bool:
        """Delete a placement and announce it; return False if there is none.

        Raise ApiError: 412 if the revision is not `expected`, 403 if the tenant was deleted.
        """
        async with self.database.transaction() as connection:
            before = await self._locked(connection, name, expected)
            if before is None or before["definition"] is None:
                return False
            await self._write(connection, name, before["revision"] + 1, None, changed_by)
            await outbox.append_tombstone(connection, PLACEMENTS, self.tenant, f"{self.tenant}:{name}")
            return True

    async def _locked(self, connection: Connection, name: str, expected: int | None) -> Record | None:
        """Return the row of a placement, held until the transaction ends; raise ApiError as `put` does."""
        if await connection.fetchval(*SQL.lock_tenant(tenant=self.tenant)) is None:
            raise ApiError(403, "UnknownTenant", f"There is no tenant {self.tenant}.")
        row = await connection.fetchrow(*SQL.locked_placement(tenant=self.tenant, name=name))
        present = row["revision"] if row is not None and row["definition"] is not None else 0
        if expected is not None and expected != present:
            detail = (
                f"The placement {name} is at revision {present}, not {expected}: read it again, and repeat "
                "your change."
            )
            raise ApiError(412, "RevisionConflict", detail)
        return row

    async def _write(
        self, connection: Connection, name: str, revision: int, placement: Placement | None, changed_by: str
    ) -> Record:
        definition = None if placement is None else definition_of(placement)
        row = await connection.fetchrow(
            *SQL.put_placement(
                tenant=self.tenant, name=name, revision=revision, definition=definition, changed_by=changed_by
            )
        )
        assert row is not None
        return row


def placement_changed(tenant: str, stored: StoredPlacement) -> PlacementChanged:
    """Return the event with the state of a placement."""
    return PlacementChanged(
        event_id=str(uuid.uuid4()),
        tenant=tenant,
        occurred_at=datetime.now(UTC),
        name=stored.name,
        revision=stored.revision,
        placement=stored.placement,
    )


def definition_of(placement: Placement) -> dict[str, object]:
    """Return a definition as a JSON object, without members that have their default."""
    return placement.model_dump(mode="json", exclude_defaults=True)


def _stored(row: Record) -> StoredPlacement:
    return StoredPlacement(
        row["name"],
        row["revision"],
        Placement.model_validate(row["definition"]),
        row["changed_at"],
        row["changed_by"],
    )
