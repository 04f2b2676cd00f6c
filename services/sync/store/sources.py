"""Sources of tenants; their secrets are stored encrypted."""

from __future__ import annotations

import secrets as random
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import SecretStr

from services.sync.store.statements import SQL
from shared.auth import decrypt, encrypt
from shared.errors import Permanent

if TYPE_CHECKING:
    import asyncpg

    from shared.postgres import Database

_LETTERS = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class Source:
    """A source as it is stored; `config` is that of its kind."""

    id: str
    tenant: str
    name: str
    kind: str
    enabled: bool
    config: dict[str, Any]
    secret_names: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    waiting: int = 0
    failed: int = 0
    newest_at: datetime | None = None
    next_pull_at: datetime | None = None
    pulled_at: datetime | None = None
    read_until: date | None = None
    pulled_objects: int = 0
    pull_warnings: tuple[str, ...] = ()
    pull_error: str | None = None
    encrypted: bytes | None = field(default=None, repr=False)


class Sources:
    """The sources of tenants."""

    def __init__(self, database: Database, secret_key: SecretStr | None) -> None:
        self._database = database
        self._secret_key = secret_key

    async def add(
        self, tenant: str, name: str, config: Mapping[str, Any], secrets: Mapping[str, str], *, enabled: bool
    ) -> bool:
        """Add a source; return False if the tenant has one of this name. Raises Permanent without a key."""
        created = await self._database.fetchval(
            *SQL.add_source(
                id="".join(random.choice(_LETTERS) for _ in range(24)),
                tenant=tenant,
                name=name,
                kind=config["kind"],
                enabled=enabled,
                config=dict(config),
                secrets=self._encrypted(secrets),
                secret_names=sorted(secrets),
            )
        )
        return created is not None

    async def change(
        self,
        tenant: str,
        name: str,
        config: Mapping[str, Any],
        secrets: Mapping[str, str] | None,
        *,
        enabled: bool,
    ) -> bool:
        """Change a source; None keeps its secrets. Return False if there is none of this name."""
        changed = await self._database.fetchval(
            *SQL.change_source(
                tenant=tenant,
                name=name,
                kind=config["kind"],
                enabled=enabled,
                config=dict(config),
                keep_secrets=secrets is None,
                secrets=self._encrypted(secrets or {}),
                secret_names=sorted(secrets or {}),
            )
        )
        return changed is not None

    async def delete(self, tenant: str, name: str) -> bool:
        """Delete a source with its deliveries; return whether it existed."""
        return await self._database.fetchval(*SQL.delete_source(tenant=tenant, name=name)) is not None

    async def by_id(self, identity: str) -> Source | None:
        """Return the source of an id, or None."""
        row = await self._database.fetchrow(*SQL.source_by_id(id=identity))
        return None if row is None else _source(row)

    async def of_tenant(self, tenant: str, name: str | None = None) -> list[Source]:
        """Return the sources of a tenant, or the one of a name, with the numbers of their deliveries."""
        rows = await self._database.fetch(*SQL.sources_of_tenant(tenant=tenant, name=name))
        return [_source(row) for row in rows]

    async def count(self, tenant: str) -> int:
        """Return the number of a tenant's sources."""
        return int(await self._database.fetchval(*SQL.count_sources(tenant=tenant)))

    def secrets(self, source: Source) -> dict[str, str]:
        """Return the secrets of a source. Raises Permanent if they were encrypted with another key."""
        if source.encrypted is None:
            return {}
        secrets: dict[str, str] = orjson.loads(decrypt(source.encrypted, self._key()))
        return secrets

    def _encrypted(self, secrets: Mapping[str, str]) -> bytes | None:
        return encrypt(orjson.dumps(dict(secrets)).decode(), self._key()) if secrets else None

    def _key(self) -> str:
        if self._secret_key is None:
            raise Permanent("ENDCAP_SECRET_KEY is not set: it encrypts the secrets of sources.")
        return self._secret_key.get_secret_value()


def _source(row: asyncpg.Record) -> Source:
    more = {name: row[name] for name in ("waiting", "failed", "newest_at") if name in row}
    return Source(
        id=row["id"],
        tenant=row["tenant"],
        name=row["name"],
        kind=row["kind"],
        enabled=row["enabled"],
        config=row["config"],
        secret_names=tuple(row["secret_names"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        encrypted=row["secrets_encrypted"],
        next_pull_at=row["next_pull_at"] if row["kind"] != "webhook" else None,
        pulled_at=row["pulled_at"],
        read_until=row["read_until"],
        pulled_objects=row["pulled_objects"],
        pull_warnings=tuple(row["pull_warnings"]),
        pull_error=row["pull_error"],
        **more,
    )
