"""A tenant with its keys and its event tracker, stored as the engine stores them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import asyncpg
import orjson

from shared.auth import encrypt, hash_key, new_access_key, new_api_key, new_secret_key
from tests.support.stack import Database

SECRET_KEY = new_secret_key()
"""The ENDCAP_SECRET_KEY of processes that a test starts."""

SERVICE_KEY = new_api_key("service")
"""The ENDCAP_SERVICE_KEY of processes that a test starts."""


@dataclass(frozen=True)
class Tenant:
    """A tenant and its credentials."""

    name: str
    account: str
    ingest: str
    read: str
    catalogue: str
    admin: str
    access_key_id: str
    secret_access_key: str
    tracking_id: str
    tracker_arn: str

    def dataset_arn(self, dataset_type: str) -> str:
        """Return the ARN of a dataset of its group."""
        return f"arn:aws:personalize:eu-west-1:{self.account}:dataset/{self.name}/{dataset_type}"


async def make_tenant(
    database: Database,
    name: str = "default",
    account: str = "000000000000",
    pair: tuple[str, str] | None = None,
) -> Tenant:
    """Create a tenant with an API key of each kind, an AWS key pair (or `pair`) and an event tracker."""
    access_key_id, secret = pair or new_access_key()
    tracker = uuid.uuid4().hex[:8]
    arn = f"arn:aws:personalize:eu-west-1:{account}"
    tenant = Tenant(
        name=name,
        account=account,
        ingest=new_api_key("ingest"),
        read=new_api_key("read"),
        catalogue=new_api_key("catalogue"),
        admin=new_api_key("admin"),
        access_key_id=access_key_id,
        secret_access_key=secret,
        tracking_id=str(uuid.uuid4()),
        tracker_arn=f"{arn}:event-tracker/{tracker}",
    )
    connection = await asyncpg.connect(database.url, server_settings={"search_path": "engine"})
    try:
        await _insert(connection, tenant)
    finally:
        await connection.close()
    return tenant


async def _insert(connection: asyncpg.Connection[asyncpg.Record], tenant: Tenant) -> None:
    name, account = tenant.name, tenant.account
    arn = f"arn:aws:personalize:eu-west-1:{account}"
    await connection.execute("INSERT INTO accounts (id) VALUES ($1) ON CONFLICT DO NOTHING", account)
    await connection.execute(
        "INSERT INTO tenants (id, account, dataset_group) VALUES ($1, $2, $1)", name, account
    )
    await connection.executemany(
        "INSERT INTO keys (id, key_hash, kind, tenant, scopes, label) VALUES ($1, $2, 'key', $3, $4, 'test')",
        [
            (uuid.uuid4().hex, hash_key(tenant.ingest), name, ["ingest"]),
            (uuid.uuid4().hex, hash_key(tenant.read), name, ["read"]),
            (uuid.uuid4().hex, hash_key(tenant.catalogue), name, ["ingest", "catalogue"]),
            (uuid.uuid4().hex, hash_key(tenant.admin), name, ["ingest", "read", "catalogue", "admin"]),
        ],
    )
    await connection.execute(
        "INSERT INTO aws_keys (access_key_id, account, secret_encrypted, label) VALUES ($1, $2, $3, 'test')",
        tenant.access_key_id,
        account,
        encrypt(tenant.secret_access_key, SECRET_KEY),
    )
    tracker = tenant.tracker_arn.rpartition(":")[2]
    group = f"{arn}:dataset-group/{name}"
    document = orjson.dumps({"trackingId": tenant.tracking_id, "datasetGroupArn": group}).decode()
    await connection.executemany(
        "INSERT INTO resources (account, tenant, type, path, arn, name, status, document) "
        "VALUES ($1, $2, $3, $4, $5, $2, 'ACTIVE', $6)",
        [
            (account, name, "dataset-group", f"dataset-group/{name}", group, "{}"),
            (account, name, "event-tracker", tracker, tenant.tracker_arn, document),
        ],
    )
