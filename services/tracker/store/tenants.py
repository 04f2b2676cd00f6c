"""Find the tenant of a Personalize request by its tracking id or by the ARN of its dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.auth import Principal
from shared.aws import Arn
from shared.events import TrackerChanged
from shared.lookup_cache import LookupCache
from shared.postgres import Database, statements

SQL = statements(Path(__file__).parents[1] / "queries.sql")


@dataclass(frozen=True, slots=True)
class _Tracker:
    tenant: str
    status: str


@dataclass(frozen=True, slots=True)
class _Owner:
    """The owner of dataset groups: an account, or a single tenant."""

    tenant: str | None
    account: str | None


class Tenants:
    """Event trackers from the topic trackers-v1, with the engine's views for those not yet received."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_key: dict[str, TrackerChanged] = {}
        self._by_tracking_id: dict[str, _Tracker] = {}
        self._looked_up = LookupCache(self._tracker)
        self._groups = LookupCache(self._groups_of)

    def tracker_changed(self, key: str, state: TrackerChanged | None) -> None:
        """Apply a record of trackers-v1; a tombstone removes the tracker."""
        previous = self._by_key.pop(key, None)
        if previous is not None:
            self._by_tracking_id.pop(previous.tracking_id, None)
            self._looked_up.forget(previous.tracking_id)
        if state is not None:
            self._by_key[key] = state
            self._by_tracking_id[state.tracking_id] = _Tracker(state.tenant, state.status)

    async def of_tracking_id(self, tracking_id: str, caller: Principal) -> str | None:
        """Return the tenant of an active tracker that the caller may use, or None; queries the view first."""
        tracker = self._by_tracking_id.get(tracking_id)
        if tracker is None or tracker.status != "ACTIVE":
            tracker = await self._looked_up.get(tracking_id)
        if tracker is None or tracker.status != "ACTIVE" or not await self._may_use(tracker.tenant, caller):
            return None
        return tracker.tenant

    async def of_dataset(self, arn: Arn, caller: Principal) -> str | None:
        """Return the tenant of the dataset group in the ARN, or None if the caller has no such group."""
        owner = _owner(caller)
        cached = await self._groups.get(owner) or {}
        # The group may be newer than the cached ones.
        return cached.get(arn.name) or (await self._groups_of(owner) or {}).get(arn.name)

    async def _may_use(self, tenant: str, caller: Principal) -> bool:
        if caller.tenant is not None:
            return caller.tenant == tenant
        owner = _owner(caller)
        cached = await self._groups.get(owner) or {}
        return tenant in cached.values() or tenant in (await self._groups_of(owner) or {}).values()

    async def _tracker(self, tracking_id: str) -> _Tracker | None:
        row = await self._database.fetchrow(*SQL.tracker(tracking_id=tracking_id))
        return _Tracker(row["tenant"], row["status"]) if row else None

    async def _groups_of(self, owner: _Owner) -> dict[str, str] | None:
        """Return the tenant of each dataset group of an owner, by the name of the group."""
        rows = await self._database.fetch(*SQL.dataset_groups(tenant=owner.tenant, account=owner.account))
        return {Arn.parse(row["dataset_group_arn"]).name: row["tenant"] for row in rows} or None


def _owner(caller: Principal) -> _Owner:
    return _Owner(caller.tenant, caller.account if caller.tenant is None else None)
