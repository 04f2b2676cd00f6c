"""The tenants that a caller may speak for: its own, or those of its account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.aws.accounts import MAIN_GROUP, AccountTenant
from shared.postgres import statements

if TYPE_CHECKING:
    from shared.auth.principal import Principal
    from shared.postgres import Database

SQL = statements(Path(__file__).with_name("queries.sql"))


async def tenants_of(database: Database, principal: Principal) -> list[AccountTenant]:
    """Return the tenants of a caller's account, or the one of its API key, the main one first.

    Raises AuthError 403 for a service that names no tenant.
    """
    own = None if principal.account is not None else principal.own_tenant
    rows = await database.fetch(*SQL.account_tenants(account=principal.account, tenant=own))
    tenants = [
        AccountTenant(
            row["tenant"], row["account"], row["dataset_group_arn"].rpartition("/")[2], row["created_at"]
        )
        for row in rows
    ]
    return sorted(tenants, key=lambda each: (each.group != MAIN_GROUP, each.tenant))
