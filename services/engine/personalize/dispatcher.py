"""The way of a call to its handler: the caller, one transaction, and one execution for each invocation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from services.engine import metrics
from services.engine.domain.state import Unreadable
from services.engine.personalize.context import OperationContext
from services.engine.personalize.operations import ERRORS, TABLE, OperationSpec, is_change
from services.engine.personalize.outbox_publisher import OutboxPublisher
from services.engine.settings import Settings
from services.engine.store import invocations
from services.engine.store.resources import Resources
from shared.auth import Principal
from shared.aws import PageTokens, WireError, invalid_input
from shared.aws_server import Call, Operation

if TYPE_CHECKING:
    from shared.events import Event
    from shared.events.topics import Topic
    from shared.postgres import Database


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Caller:
    """An account, or one of its tenants, and the region that the call was signed for.

    `access_key_id` is that of a verified signature, else empty.
    """

    account: str
    tenant: str | None
    region: str
    access_key_id: str


@dataclass(frozen=True, slots=True)
class OperationDispatcher:
    """Calls the handlers of the operations, each with a context of its own over a database."""

    database: Database
    settings: Settings
    tokens: PageTokens

    def operations(self) -> list[Operation[Any]]:
        """Return all operations in the form that the AWS server needs."""
        return [
            Operation(name, spec.request, "admin", self._handler(name, spec), also_needs=spec.also_needs)
            for name, spec in TABLE.items()
        ]

    def _handler(self, name: str, spec: OperationSpec) -> Callable[[Call, Any], Awaitable[Any]]:
        run = self._run_change if is_change(name) else self._run_read

        async def handle(call: Call, request: Any) -> Any:
            outcome = "InternalFailure"
            try:
                caller = await self._caller(call)
                reply = await run(name, spec, caller, call, request)
                outcome = "ok"
            except Unreadable as error:
                log.error("engine.unreadable_resource", operation=name, reason=str(error))  # noqa: TRY400
                declared = _as_declared(spec, invalid_input(str(error)))
                outcome = declared.code
                raise declared from None
            except WireError as error:
                declared = _as_declared(spec, error)
                outcome = declared.code
                raise declared from None
            finally:
                metrics.CALLS.labels(name, outcome).inc()
            return reply

        return handle

    async def _run_read(self, _: str, spec: OperationSpec, caller: Caller, __: Call, request: Any) -> Any:
        resources = Resources(self.database, caller.account, caller.tenant, caller.region)
        context = OperationContext(resources, self.settings, self.tokens, _NoPublisher(), read_only=True)
        return await spec.handle(context, request)

    async def _run_change(
        self, name: str, spec: OperationSpec, caller: Caller, call: Call, request: Any
    ) -> Any:
        """Run the operation once: a repeated invocation gets the answer of the first one."""
        async with self.database.transaction() as connection:
            invocation = invocations.Invocation(
                connection, caller.account, caller.tenant, name, call.invocation_id
            )
            if not await invocation.begin():
                return await invocation.answer()
            resources = Resources(connection, caller.account, caller.tenant, caller.region)
            await resources.end_deletions()
            events = OutboxPublisher(connection)
            context = OperationContext(resources, self.settings, self.tokens, events, caller.access_key_id)
            reply = await spec.handle(context, request)
            answer = reply.model_dump(mode="json", by_alias=True, exclude_none=True) if reply else None
            await invocation.finish(answer)
            return reply

    async def _caller(self, call: Call) -> Caller:
        """Return the account and tenant whose resources the call is about."""
        region = call.region or self.settings.s3.aws_region
        account = await account_of(self.database, call.principal, self.settings)
        access_key_id = call.principal.credential if call.principal.kind == "sigv4" else ""
        return Caller(account, call.principal.tenant, region, access_key_id)


async def account_of(database: Database, principal: Principal, settings: Settings) -> str:
    """Return the account of a caller: its own, that of its tenant, or for services the default one.

    Raise WireError (AccessDeniedException) if the tenant does not exist.
    """
    if principal.account is not None:
        return principal.account
    if principal.tenant is None:
        return settings.account
    account = await invocations.account_of_tenant(database, principal.tenant)
    if account is None:
        message = f"There is no tenant {principal.tenant}: its dataset group was deleted, or never created."
        raise WireError("AccessDeniedException", message)
    return account


def _as_declared(spec: OperationSpec, error: WireError) -> WireError:
    """Return InvalidInputException in place of an error of the service that the operation does not declare.

    Most List operations do not declare ResourceNotFoundException, though their parent may be missing.
    """
    undeclared = error.code in ERRORS.values() and error.code not in spec.declared
    return invalid_input(error.message) if undeclared and ERRORS["II"] in spec.declared else error


class _NoPublisher:
    """Refuses events: an operation that only reads publishes none."""

    async def publish(self, topic: Topic, event: Event) -> None:
        """Raise RuntimeError, naming the event and its topic."""
        raise RuntimeError(f"an operation that only reads published {event.event_id} to {topic.name}")

    async def publish_tombstone(self, topic: Topic, tenant: str, key: str) -> None:
        """Raise RuntimeError, naming the key and its topic."""
        raise RuntimeError(f"an operation that only reads deleted {tenant}:{key} from {topic.name}")
