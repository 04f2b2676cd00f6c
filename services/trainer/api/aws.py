"""The services of AWS that answer about runs: Step Functions, CloudWatch Logs, CloudWatch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.trainer.domain.executions import Place
from shared.auth import tenants_of
from shared.aws import WireError
from shared.aws.accounts import AccountTenant
from shared.aws_server import Call

if TYPE_CHECKING:
    from shared.postgres import Database


@dataclass(frozen=True, slots=True)
class Callers:
    """Finds the tenants that a caller may speak for, and the region and account of the answer's ARNs."""

    database: Database
    region: str

    async def of(self, call: Call) -> tuple[list[AccountTenant], Place]:
        """Return the tenants and the place; raises WireError AccessDeniedException without a tenant."""
        tenants = await tenants_of(self.database, call.principal)
        if not tenants:
            message = "There is no dataset group in this account: create one first."
            raise WireError("AccessDeniedException", message)
        return tenants, Place(call.region or self.region, tenants[0].account)
