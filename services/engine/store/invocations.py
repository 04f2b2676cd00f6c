"""Invocations of operations that change something, so that a retry of a client does not change it twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call, identified by the id that all its attempts share.

    Without an id each attempt is a new call.
    """

    connection: Connection
    account: str
    tenant: str | None
    operation: str
    id: str | None

    async def begin(self) -> bool:
        """Claim the call; return False if it was answered before. Wait for an attempt that is running."""
        if self.id is None:
            return True
        return await self.connection.fetchval(*SQL.begin_invocation(**self._key())) is not None

    async def finish(self, response: dict[str, Any] | None) -> None:
        """Save the answer."""
        if self.id is not None:
            await self.connection.execute(*SQL.finish_invocation(response=response, **self._key()))

    async def answer(self) -> dict[str, Any] | None:
        """Return the answer to the first attempt."""
        answer: dict[str, Any] | None = await self.connection.fetchval(*SQL.invocation(**self._key()))
        return answer

    def _key(self) -> dict[str, str | None]:
        return {
            "account": self.account,
            "tenant": self.tenant,
            "operation": self.operation,
            "invocation": self.id,
        }


async def account_of_tenant(database: Database, tenant: str) -> str | None:
    """Return the account of a tenant, or None if it does not exist any more."""
    account = await database.fetchval(*SQL.tenant_account(tenant=tenant))
    return None if account is None else str(account)


async def tenant_of_group(database: Database, account: str, group: str) -> str | None:
    """Return the tenant of a dataset group of an account, or None if there is no such group."""
    tenant = await database.fetchval(*SQL.tenant_of_group(account=account, dataset_group=group))
    return None if tenant is None else str(tenant)
