"""The API keys of one tenant, as its administrators create, rotate and revoke them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.engine.store.keys import TENANT_SCOPES, KeyKind, Keys, Origins, kind_of
from services.engine.store.statements import SQL
from shared.auth import new_api_key
from shared.errors import ApiError

if TYPE_CHECKING:
    from shared.postgres import Connection, Database

Row = dict[str, Any]
"""Id, scopes, label, created_at, expires_at, allowed_origins and requires_origin of a key."""


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """The API keys of a tenant; `most` of them may be valid at once."""

    database: Database
    tenant: str
    most: int

    async def all(self) -> list[Row]:
        """Return the keys, expired ones too, newest first."""
        return [dict(row) for row in await self.database.fetch(*SQL.tenant_keys(tenant=self.tenant))]

    async def create(
        self, kind: KeyKind, *, label: str, expires_at: datetime | None, origins: Origins
    ) -> tuple[Row, str]:
        """Create a key; return its row and the key, which is not stored.

        Raise ApiError: 403 if the tenant was deleted, 409 if it has as many keys as it may have.
        """
        async with self.database.transaction() as connection:
            await self._lock(connection)
            return await self._add(connection, kind, TENANT_SCOPES[kind], label, expires_at, origins)

    async def rotate(self, identifier: str, ends_at: datetime) -> tuple[Row, str] | None:
        """Create a key with the purpose of another one, which ends at a time, unless it ends earlier.

        Return its row and the key, or None if there is no such key or it has ended. Raise ApiError as
        `create` does.
        """
        async with self.database.transaction() as connection:
            await self._lock(connection)
            old = await connection.fetchrow(
                *SQL.end_tenant_key(tenant=self.tenant, id=identifier, ends_at=ends_at)
            )
            if old is None:
                return None
            allowed = old["allowed_origins"]
            origins = Origins(None if allowed is None else tuple(allowed), old["requires_origin"])
            kind = kind_of(old["scopes"])
            return await self._add(connection, kind, tuple(old["scopes"]), old["label"], None, origins)

    async def revoke(self, identifier: str) -> bool:
        """Delete a key; return whether there was one."""
        statement = SQL.revoke_tenant_key(tenant=self.tenant, id=identifier)
        return await self.database.fetchval(*statement) is not None

    async def _lock(self, connection: Connection) -> None:
        """Hold the tenant, so that its keys are created one after the other."""
        if await connection.fetchval(*SQL.lock_tenant(tenant=self.tenant)) is None:
            raise ApiError(403, "UnknownTenant", f"There is no tenant {self.tenant}.")
        if await connection.fetchval(*SQL.count_tenant_keys(tenant=self.tenant)) >= self.most:
            detail = f"A tenant may have {self.most} valid keys: revoke some, or raise ENGINE_MAX_KEYS."
            raise ApiError(409, "LimitExceeded", detail)

    async def _add(
        self,
        connection: Connection,
        kind: str,
        scopes: tuple[str, ...],
        label: str,
        expires_at: datetime | None,
        origins: Origins,
    ) -> tuple[Row, str]:
        key = new_api_key(kind)
        identifier = await Keys(connection).add(
            key, tenant=self.tenant, scopes=scopes, label=label, expires_at=expires_at, origins=origins
        )
        row = await connection.fetchrow(*SQL.tenant_key(tenant=self.tenant, id=identifier))
        assert row is not None
        return dict(row), key
