"""The services of AWS that answer about runs: Step Functions, CloudWatch Logs, CloudWatch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.trainer.domain.executions import Place
from services.trainer.metrics import AWS_CALLS
from shared.auth import Scope, tenants_of
from shared.aws import WireError
from shared.aws.accounts import AccountTenant
from shared.aws.protocols import Reply, Request
from shared.aws_server import Call, Operation

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


def counted(
    name: str,
    request: type[Request],
    scope: Scope,
    handle: Callable[[Call, Request], Awaitable[Reply]],
    *,
    declined: str = "",
) -> Operation[Any]:
    """Return an operation whose calls are counted by outcome; `declined` is why it always fails."""

    async def handled(call: Call, body: Request) -> Reply:
        outcome = "InternalFailure"
        try:
            reply = await handle(call, body)
            outcome = "ok"
        except WireError as error:
            outcome = error.code
            raise
        finally:
            AWS_CALLS.labels(name, outcome).inc()
        return reply

    return Operation(name, request, scope, handled, declined)
