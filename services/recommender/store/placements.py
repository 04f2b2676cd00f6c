"""The placements that tenants defined, as the engine announces them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError

from services.recommender.store import SQL
from services.recommender.store.view_fallback import Name, ViewFallback
from shared.events.placements import DEFAULT_PLACEMENTS, Placement

if TYPE_CHECKING:
    from asyncpg import Record

    from services.recommender.store.guarded_database import GuardedDatabase
    from shared.events import PlacementChanged

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DefinedPlacement:
    """A placement with its revision; a default has none."""

    name: str
    placement: Placement
    revision: int | None = None


_DEFAULTS = {name: DefinedPlacement(name, placement) for name, placement in DEFAULT_PLACEMENTS.items()}


class Placements:
    """Every placement by tenant and name."""

    def __init__(self, database: GuardedDatabase) -> None:
        self._by_name: dict[Name, DefinedPlacement] = {}
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._view = ViewFallback(database, SQL.placements, self._by_name, self._add_row)
        self._is_complete = False
        self._reading: asyncio.Task[None] | None = None

    def apply(self, key: str, announced: PlacementChanged | None) -> None:
        """Apply a record of placements-v1; None is a tombstone."""
        tenant, _, name = key.partition(":")
        if announced is not None:
            self._add(tenant, DefinedPlacement(name, announced.placement, announced.revision))
            return
        self._view.deleted((tenant, name))
        self._by_name.pop((tenant, name), None)
        self._names[tenant].discard(name)

    def retain(self, keys: set[str]) -> None:
        """Remove the placements that only the view had: `keys` are all of placements-v1."""
        self._is_complete = True
        for tenant, name in list(self._by_name):
            if (key := f"{tenant}:{name}") not in keys:
                self.apply(key, None)

    def of(self, tenant: str) -> list[DefinedPlacement]:
        """Return all placements of a tenant in memory, by name, defaults included."""
        placements = (self.known(tenant, name) for name in self.names(tenant))
        return [placement for placement in placements if placement is not None]

    def names(self, tenant: str) -> list[str]:
        """Return the names of a tenant's placements, defaults included."""
        return sorted(DEFAULT_PLACEMENTS.keys() | self._names.get(tenant, set()))

    def known(self, tenant: str, name: str) -> DefinedPlacement | None:
        """Return a placement that is in memory, also a default; None otherwise."""
        return self._by_name.get((tenant, name)) or _DEFAULTS.get(name)

    async def find(self, tenant: str, name: str) -> DefinedPlacement | None:
        """Return a placement, else the default of that name; None if there is neither.

        An unknown placement is looked up in the engine's view, at most twice a second. So is a default until
        placements-v1 was read, because the tenant may have redefined it. Only the first of these reads is
        awaited, since Kafka may be unavailable for long.
        """
        known = self._by_name.get((tenant, name))
        if known is not None or (self._is_complete and name in _DEFAULTS):
            return known or _DEFAULTS[name]
        if name not in _DEFAULTS:
            await self._view.read()
        else:
            is_first = self._reading is None
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._view.read())
            if is_first:
                await self._reading
        return self._by_name.get((tenant, name)) or _DEFAULTS.get(name)

    def _add(self, tenant: str, placement: DefinedPlacement) -> None:
        before = self._by_name.get((tenant, placement.name))
        if before is None or (before.revision or 0) <= (placement.revision or 0):
            self._by_name[tenant, placement.name] = placement
            self._names[tenant].add(placement.name)

    def _add_row(self, row: Record) -> None:
        tenant, name = row["tenant"], row["name"]
        try:
            placement = Placement.model_validate(row["definition"])
        except ValidationError as error:
            # An invalid row, which no event could contain, does not stop the others.
            log.error("placements.row_invalid", tenant=tenant, name=name, error=str(error))  # noqa: TRY400
            return
        self._add(tenant, DefinedPlacement(name, placement, row["revision"]))
