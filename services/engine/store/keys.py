"""API keys and AWS key pairs: API keys are stored as hashes, AWS secrets encrypted."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from services.engine.store.statements import SQL
from shared.auth import PAIR_SCOPES, encrypt, hash_key

if TYPE_CHECKING:
    from shared.postgres import Connection, Database

KeyKind = Literal["ingest", "storefront", "read", "catalogue", "merchandiser", "admin"]

TENANT_SCOPES: dict[KeyKind, tuple[str, ...]] = {
    "ingest": ("ingest",),
    "storefront": ("ingest", "recommend"),
    "read": ("read",),
    "catalogue": ("ingest", "catalogue"),
    "merchandiser": ("read", "catalogue", "placements"),
    "admin": ("ingest", "read", "catalogue", "admin"),
}
"""The scopes of a tenant's API keys. A `storefront` or `ingest` key is public: pages of a shop have it."""

BOUND_TO_ORIGINS: frozenset[KeyKind] = frozenset({"storefront"})
"""Kinds of keys that need the origins of the pages that contain them."""

FOR_PEOPLE: frozenset[KeyKind] = frozenset({"merchandiser"})
"""Kinds of keys that each person gets, so an installation begins without any."""


def kind_of(scopes: Collection[str]) -> KeyKind | Literal["service", "custom"]:
    """Return the kind of a key by its scopes: of a service, or `custom` if no kind has exactly these."""
    if "service" in scopes:
        return "service"
    kinds = {frozenset(granted): kind for kind, granted in TENANT_SCOPES.items()}
    return kinds.get(frozenset(scopes), "custom")


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins whose pages may use a key. Without `allowed` all requests may, whatever their origin.

    `required` also refuses requests without an Origin header.
    """

    allowed: tuple[str, ...] | None = None
    required: bool = False


ANY_ORIGIN = Origins()


@dataclass(frozen=True, slots=True)
class EndedKey:
    """The purpose of a key that was ended.

    A key pair has an account; an API key has a tenant unless it is a service's.
    """

    label: str
    scopes: tuple[str, ...]
    account: str | None = None
    tenant: str | None = None
    origins: Origins = ANY_ORIGIN


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the installation."""

    connection: Connection | Database

    async def add_account(self, account: str) -> None:
        """Create an account unless it exists."""
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
        """Register an API key, which is a service key without a tenant; return its id.

        Raise ValueError if the key is registered for another tenant or other scopes.
        """
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

        With `opens_store` the pair is also one of the object store, and jobs that are created with it use it
        there.
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
        """End an API key by its id, or a key pair by its access key id; return whether there was one."""
        key = await self.connection.fetchval(*SQL.revoke_key(id=identifier))
        pair = await self.connection.fetchval(*SQL.revoke_aws_key(access_key_id=identifier))
        return key is not None or pair is not None

    async def end(self, identifier: str, at: datetime) -> EndedKey | None:
        """Let an API key or a key pair end at a time; return its purpose, or None if there is none."""
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

    async def list_keys(self) -> list[dict[str, Any]]:
        """Return all keys in the form of `keys list`."""
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
        """Return whether an account exists."""
        return bool(await self.connection.fetchval(*SQL.has_account(account=account)))

    async def account_of(self, tenant: str) -> str | None:
        """Return the account of a tenant, or None if it does not exist any more."""
        account = await self.connection.fetchval(*SQL.tenant_account(tenant=tenant))
        return None if account is None else str(account)
