"""Keys in Postgres: API keys as hashes, AWS secrets encrypted."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.engine.store.statements import SQL
from shared.auth import PAIR_SCOPES, encrypt, hash_key

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class Origins:
    """Origins whose pages may use a key. None for `allowed`: every request may, whatever its origin.

    `required` refuses requests without an Origin header, too.
    """

    allowed: tuple[str, ...] | None = None
    required: bool = False


ANY_ORIGIN = Origins()


@dataclass(frozen=True, slots=True)
class EndedKey:
    """What a key was for: a pair has an account, an API key (but for those of services) a tenant."""

    label: str
    scopes: tuple[str, ...]
    account: str | None = None
    tenant: str | None = None
    origins: Origins = ANY_ORIGIN


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the installation, over a connection."""

    connection: Connection | Database

    async def add_account(self, account: str) -> None:
        """An account, unless it is there."""
        await self.connection.execute(*SQL.add_account(account=account))

    async def add(
        self,
        key: str,
        *,
        tenant: str | None,
        scopes: Sequence[str],
        label: str,
        expires_at: datetime | None = None,
        origins: Origins = ANY_ORIGIN,
    ) -> str:
        """Register an API key (a service key when it has no tenant); gives its id."""
        await self.connection.execute(
            *SQL.add_key(
                id=secrets.token_hex(4),
                key_hash=hash_key(key),
                kind="key" if tenant else "service",
                tenant=tenant,
                scopes=list(scopes),
                label=label,
                expires_at=expires_at,
                allowed_origins=None if origins.allowed is None else list(origins.allowed),
                requires_origin=origins.required,
            )
        )
        row = await self.connection.fetchrow(*SQL.key_by_hash(key_hash=hash_key(key)))
        assert row is not None
        if row["tenant"] != tenant or set(row["scopes"]) != set(scopes):
            message = (
                f"This {label} key is registered already, for tenant {row['tenant']} with the scopes "
                f"{', '.join(row['scopes'])}; revoke it first (id {row['id']})."
            )
            raise ValueError(message)
        return str(row["id"])

    async def add_pair(
        self,
        access_key_id: str,
        secret: str,
        *,
        account: str,
        secret_key: str,
        label: str,
        scopes: Sequence[str] = PAIR_SCOPES,
        opens_store: bool = False,
    ) -> None:
        """Register an AWS key pair, its secret encrypted with `secret_key`.

        One that opens the object store, too, is used there by the jobs that are made with it.
        """
        await self.connection.execute(
            *SQL.add_aws_key(
                access_key_id=access_key_id,
                account=account,
                secret_encrypted=encrypt(secret, secret_key),
                label=label,
                scopes=list(scopes),
                opens_store=opens_store,
            )
        )

    async def revoke(self, identifier: str) -> bool:
        """End an API key by its id, or a key pair by its access key id; say whether there was one."""
        key = await self.connection.fetchval(*SQL.revoke_key(id=identifier))
        pair = await self.connection.fetchval(*SQL.revoke_aws_key(access_key_id=identifier))
        return key is not None or pair is not None

    async def end(self, identifier: str, at: datetime) -> EndedKey | None:
        """Let a key of either kind end at a time; gives what it was for, None when there is none."""
        pair = await self.connection.fetchrow(*SQL.end_aws_key(access_key_id=identifier, ends_at=at))
        if pair is not None:
            return EndedKey(pair["label"], tuple(pair["scopes"]), account=pair["account"])
        key = await self.connection.fetchrow(*SQL.key(id=identifier))
        if key is None:
            return None
        await self.connection.execute(*SQL.end_key(id=identifier, ends_at=at))
        allowed = key["allowed_origins"]
        origins = Origins(None if allowed is None else tuple(allowed), key["requires_origin"])
        return EndedKey(key["label"], tuple(key["scopes"]), tenant=key["tenant"], origins=origins)

    async def listed(self) -> list[dict[str, Any]]:
        """Every key as people see it."""
        keys = [dict(row) for row in await self.connection.fetch(*SQL.keys())]
        pairs = [
            {
                "id": row["access_key_id"],
                "kind": "aws",
                "tenant": f"account {row['account']}",
                "scopes": row["scopes"] if row["active"] else ["revoked"],
                "allowed_origins": None,
                "requires_origin": False,
                "label": row["label"],
                "created_at": row["created_at"],
                "expires_at": row["ends_at"],
            }
            for row in await self.connection.fetch(*SQL.aws_keys())
        ]
        return [*keys, *pairs]

    async def has_account(self, account: str) -> bool:
        """Return whether there is such an account."""
        return bool(await self.connection.fetchval(*SQL.has_account(account=account)))

    async def account_of(self, tenant: str) -> str | None:
        """The account of a living tenant."""
        account = await self.connection.fetchval(*SQL.tenant_account(tenant=tenant))
        return None if account is None else str(account)
