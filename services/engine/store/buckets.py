"""The buckets that tenants may use in addition to their own prefixes, and the keys for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr

from services.engine.domain.locations import Access, Buckets, Grant
from services.engine.store.statements import SQL
from shared.auth import decrypt, encrypt
from shared.errors import Permanent

if TYPE_CHECKING:
    from services.engine.domain.state import JobState
    from services.engine.settings import Settings
    from shared.postgres import Connection, Database
    from shared.settings import S3Settings


@dataclass(frozen=True, slots=True)
class StoreKeys:
    """A key pair of the object store."""

    access_key_id: str
    secret: SecretStr


@dataclass(frozen=True, slots=True)
class TenantStore:
    """The locations that the jobs of a tenant may use, and their keys; without keys, those of the engine."""

    access: Access
    keys: StoreKeys | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """A tenant, or without one all tenants of the account, also future ones."""

    account: str
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """A grant in the output of `buckets list`."""

    holder: Holder
    grant: Grant
    access_key_id: str | None
    created_at: datetime


def shared_of(settings: S3Settings) -> Buckets:
    """Return the buckets in which every tenant has a prefix."""
    return Buckets(settings.endcap_data_bucket, settings.endcap_uploads_bucket)


async def grants(connection: Connection | Database, account: str, tenant: str) -> tuple[Grant, ...]:
    """Return the grants of a tenant and of its account."""
    rows = await connection.fetch(*SQL.bucket_grants(account=account, tenant=tenant))
    return tuple(Grant(row["bucket"], row["prefix"], row["read_only"]) for row in rows)


async def opens_store(connection: Connection | Database, account: str, access_key_id: str) -> bool:
    """Return whether a key pair of the account is also a key pair of the object store."""
    pair = await connection.fetchrow(*SQL.store_pair(account=account, access_key_id=access_key_id))
    return pair is not None


async def store_of(database: Database, settings: Settings, resource: JobState) -> TenantStore:
    """Return the locations and the keys of the job of a resource.

    A job that was created with a key pair of the object store uses that pair, any other job the one of its
    tenant. Raise Permanent if its keys cannot be decrypted.
    """
    account, tenant = resource.account, resource.owner
    allowed = await grants(database, account, tenant)
    if store_key := resource.facts.store_key:
        row = await database.fetchrow(*SQL.store_pair(account=account, access_key_id=store_key))
        if row is not None:
            access = Access(tenant, shared_of(settings.s3), allowed, any_bucket=True)
            return TenantStore(access, _keys(store_key, row["secret_encrypted"], settings))
    access = Access(tenant, shared_of(settings.s3), allowed)
    row = await database.fetchrow(*SQL.bucket_keys(account=account, tenant=tenant))
    if row is None:
        return TenantStore(access)
    return TenantStore(access, _keys(row["access_key_id"], row["secret_encrypted"], settings))


def _keys(access_key_id: str, secret_encrypted: bytes, settings: Settings) -> StoreKeys:
    return StoreKeys(access_key_id, SecretStr(decrypt(secret_encrypted, _secret_key(settings))))


async def allow(connection: Connection, holder: Holder, grant: Grant) -> None:
    """Allow a location; an existing grant is replaced, which changes whether it may be written."""
    await connection.execute(
        *SQL.add_bucket_grant(
            account=holder.account,
            tenant=holder.tenant,
            bucket=grant.bucket,
            prefix=grant.prefix,
            read_only=grant.read_only,
        )
    )


async def remove(connection: Connection, holder: Holder, grant: Grant) -> bool:
    """Remove a grant; return whether it existed."""
    removed = await connection.fetchval(
        *SQL.remove_bucket_grant(
            account=holder.account, tenant=holder.tenant, bucket=grant.bucket, prefix=grant.prefix
        )
    )
    return removed is not None


async def list_grants(connection: Connection) -> list[ListedGrant]:
    """Return all grants, with the access key ids that the jobs of their holders use, if any."""
    return [
        ListedGrant(
            Holder(row["account"], row["tenant"]),
            Grant(row["bucket"], row["prefix"], row["read_only"]),
            row["access_key_id"],
            row["created_at"],
        )
        for row in await connection.fetch(*SQL.all_bucket_grants())
    ]


async def set_keys(connection: Connection, holder: Holder, keys: StoreKeys, settings: Settings) -> None:
    """Set the key pair that the jobs of a holder use outside the shared buckets.

    Its secret is stored encrypted.
    """
    await connection.execute(
        *SQL.set_bucket_keys(
            account=holder.account,
            tenant=holder.tenant,
            access_key_id=keys.access_key_id,
            secret_encrypted=encrypt(keys.secret.get_secret_value(), _secret_key(settings)),
        )
    )


async def drop_keys(connection: Connection, holder: Holder) -> bool:
    """Delete the key pair of a holder, whose jobs then use the engine's own; return whether there was one."""
    dropped = await connection.fetchval(*SQL.drop_bucket_keys(account=holder.account, tenant=holder.tenant))
    return dropped is not None


def _secret_key(settings: Settings) -> str:
    secret = settings.auth.endcap_secret_key
    if secret is None:
        raise Permanent("ENDCAP_SECRET_KEY is not set: it encrypts the keys of tenants' buckets.")
    return secret.get_secret_value()
