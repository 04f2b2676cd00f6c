"""Step Functions: executions of the state machine `ml-workflow` are training runs.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_Operations.html
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.trainer.api.aws import Callers
from services.trainer.api.execution_requests import (
    GetExecutionHistory,
    ListExecutions,
    OfExecution,
    OfMachine,
    Page,
    StartExecution,
    StopExecution,
)
from services.trainer.domain.executions import (
    MACHINE,
    MAX_CAUSE_CHARACTERS,
    MAX_ERROR_CHARACTERS,
    Execution,
    ImportedFile,
    Place,
    checked_input,
    definition,
    file_of_input,
    group_of_input,
    history,
    invalid_execution_input,
    machine_name,
    machine_tenant,
    no_such_machine,
    output_of,
    parse_execution,
    parse_machine,
    reason_of_input,
)
from services.trainer.store.executions import ExecutionCursor, ExecutionRequest, Executions
from shared.aws import PageTokens, WireError
from shared.aws.accounts import AccountTenant
from shared.aws.protocols import JSON_10_TYPE
from shared.aws_server import Call, JsonService, Operation
from shared.errors import Permanent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.trainer.store import ShopImports

CODES = {"InvalidInputException": "ValidationException", "InvalidNextTokenException": "InvalidToken"}
NOT_SYNC = "The state machine is STANDARD: call StartExecution, and DescribeExecution for its end."
_DEFAULT_PAGE = 100
_NOT_IN_NAMES = frozenset(' <>{}[]?*"#%\\^|~`$&,;:/')


@dataclass(frozen=True, slots=True)
class StepFunctions:
    """The operations of Step Functions. A run that was started otherwise has the execution `run-<number>`."""

    callers: Callers
    executions: Executions
    imports: ShopImports
    tokens: PageTokens
    role: str

    def service(self) -> JsonService:
        """Return the service with its operations."""
        operations = (
            Operation("StartExecution", StartExecution, "admin", self.start),
            Operation("StartSyncExecution", StartExecution, "admin", self.start_sync, declined=NOT_SYNC),
            Operation("ListExecutions", ListExecutions, "read", self.list),
            Operation("DescribeExecution", OfExecution, "read", self.describe),
            Operation("StopExecution", StopExecution, "admin", self.stop),
            Operation("GetExecutionHistory", GetExecutionHistory, "read", self.history),
            Operation("ListStateMachines", Page, "read", self.list_machines),
            Operation("DescribeStateMachine", OfMachine, "read", self.describe_machine),
            Operation("DescribeStateMachineForExecution", OfExecution, "read", self.machine_of_execution),
        )
        return JsonService("AWSStepFunctions", "states", JSON_10_TYPE, CODES, operations)

    async def start(self, call: Call, request: StartExecution) -> Mapping[str, Any]:
        """Start an execution: a run of the tenant that the input or the machine names."""
        tenants, place = await self.callers.of(call)
        machine = parse_machine(request.state_machine_arn)
        document = checked_input(request.input)
        if not machine.lower().endswith(MACHINE):
            raise no_such_machine(request.state_machine_arn, tenants)
        owner = machine_tenant(machine, tenants)
        group = group_of_input(document)
        if group is not None:
            named = next((each for each in tenants if each.group == group), None)
            if named is None:
                raise invalid_execution_input(f"there is no dataset group {group} in this account")
            if owner is not None and named != owner:
                machine = machine_name(group)
            owner = named
        if owner is None:
            raise no_such_machine(request.state_machine_arn, tenants)
        name = request.name or str(uuid.uuid4())
        _check_name(name)
        new = ExecutionRequest(owner.tenant, name, machine, request.input, reason_of_input(document, name))
        execution = await self.executions.running(new)
        if execution is None:
            import_id = await self._begin_import(call, owner.tenant, file_of_input(document))
            execution = await self.executions.start(replace(new, import_id=import_id))
        arn = place.execution(machine, execution.name)
        return {"executionArn": arn, "startDate": execution.started_at}

    async def _begin_import(self, call: Call, tenant: str, file: ImportedFile | None) -> str | None:
        """Return the id of the import of a file; None without one.

        Raises WireError InvalidExecutionInput for a file that can't be imported, AuthError for a caller who
        may not import.
        """
        if file is None:
            return None
        call.principal.may("catalogue")
        try:
            return await self.imports.begin(tenant, file.location, file.kind)
        except Permanent as error:
            raise invalid_execution_input(str(error)) from error

    async def start_sync(self, _: Call, __: StartExecution) -> Mapping[str, Any]:
        """Raise WireError StateMachineTypeNotSupported: the state machine is STANDARD."""
        raise WireError("StateMachineTypeNotSupported", NOT_SYNC)

    async def list(self, call: Call, request: ListExecutions) -> Mapping[str, Any]:
        """List executions of a machine: running ones first, the newest of each first.

        Raises WireError ValidationException without a machine.
        """
        tenants, place = await self.callers.of(call)
        if request.state_machine_arn is None:
            raise WireError("ValidationException", "stateMachineArn is missing; there are no map runs here.")
        owner = _machine(request.state_machine_arn, tenants)
        after = self._cursor(request.next_token)
        limit = request.max_results or _DEFAULT_PAGE
        rows = await self.executions.list_newest(owner.tenant, request.status_filter, after, limit + 1)
        shown = rows[:limit]
        answer: dict[str, Any] = {
            "executions": [_summary(each, owner, place) for each in shown],
        }
        if len(rows) > limit:
            last = shown[-1]
            at = last.stopped_at or last.started_at
            cursor = [last.stopped_at is None, at.isoformat(), last.id]
            answer["nextToken"] = self.tokens.issue("ListExecutions", cursor)
        return answer

    async def describe(self, call: Call, request: OfExecution) -> Mapping[str, Any]:
        """Describe an execution with its input, its output, and the error of its run."""
        execution, owner, place = await self._execution(call, request.execution_arn)
        members: dict[str, Any] = {
            **_summary(execution, owner, place),
            "input": execution.input,
            "inputDetails": {"included": True},
            "redriveStatus": "NOT_REDRIVABLE",
            "redriveStatusReason": "Start another execution: it uses the newest data.",
        }
        if execution.status == "SUCCEEDED":
            steps = await self.executions.steps(execution.run)
            members |= {"output": output_of(execution, steps), "outputDetails": {"included": True}}
        if execution.status in {"FAILED", "ABORTED"}:
            members |= {
                "error": (execution.error or "")[:MAX_ERROR_CHARACTERS] or None,
                "cause": (execution.cause or "")[:MAX_CAUSE_CHARACTERS] or None,
            }
        return {name: value for name, value in members.items() if value is not None}

    async def stop(self, call: Call, request: StopExecution) -> Mapping[str, Any]:
        """Stop an execution: cancel its run, unless other executions or requests wait for that, too."""
        execution, _, _ = await self._execution(call, request.execution_arn)
        stopped_at = execution.stopped_at
        if stopped_at is None:
            stopped_at = await self.executions.stop(execution, request.error, request.cause)
        return {"stopDate": stopped_at}

    async def history(self, call: Call, request: GetExecutionHistory) -> Mapping[str, Any]:
        """Return the events of an execution: its start, each step of its run, its end."""
        execution, _, _ = await self._execution(call, request.execution_arn)
        events = history(execution, await self.executions.steps(execution.run), self.role)
        if request.reverse_order:
            events.reverse()
        begin = 0
        if request.next_token is not None:
            begin = int(self.tokens.read("GetExecutionHistory", request.next_token))
        end = begin + (request.max_results or _DEFAULT_PAGE)
        answer: dict[str, Any] = {"events": events[begin:end]}
        if end < len(events):
            answer["nextToken"] = self.tokens.issue("GetExecutionHistory", end)
        return answer

    async def list_machines(self, call: Call, request: Page) -> Mapping[str, Any]:
        """List the state machines of the account: one for each dataset group."""
        tenants, place = await self.callers.of(call)
        begin = 0
        if request.next_token is not None:
            begin = int(self.tokens.read("ListStateMachines", request.next_token))
        end = begin + (request.max_results or _DEFAULT_PAGE)
        answer: dict[str, Any] = {"stateMachines": [_shown(each, place) for each in tenants[begin:end]]}
        if end < len(tenants):
            answer["nextToken"] = self.tokens.issue("ListStateMachines", end)
        return answer

    async def describe_machine(self, call: Call, request: OfMachine) -> Mapping[str, Any]:
        """Describe a state machine: its definition has a task for each step of a run."""
        tenants, place = await self.callers.of(call)
        owner = _machine(request.state_machine_arn, tenants)
        return self._described(_shown(owner, place))

    async def machine_of_execution(self, call: Call, request: OfExecution) -> Mapping[str, Any]:
        """Describe the state machine of an execution."""
        _, owner, place = await self._execution(call, request.execution_arn)
        described = self._described(_shown(owner, place))
        described["updateDate"] = described.pop("creationDate")
        return {name: value for name, value in described.items() if name not in {"type", "status"}}

    def _described(self, shown: dict[str, Any]) -> dict[str, Any]:
        return {**shown, "status": "ACTIVE", "definition": definition(self.role), "roleArn": self.role}

    async def _execution(self, call: Call, arn: str) -> tuple[Execution, AccountTenant, Place]:
        """Return an execution and its tenant; raises WireError ExecutionDoesNotExist."""
        tenants, place = await self.callers.of(call)
        machine, name = parse_execution(arn)
        owner = machine_tenant(machine, tenants)
        ordered = [owner, *tenants] if owner is not None else tenants
        execution = await self.executions.find([each.tenant for each in ordered], name)
        if execution is None or not machine.lower().endswith(MACHINE):
            raise WireError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return execution, next(each for each in tenants if each.tenant == execution.tenant), place

    def _cursor(self, token: str | None) -> ExecutionCursor | None:
        if token is None:
            return None
        is_running, at, number = self.tokens.read("ListExecutions", token)
        return ExecutionCursor(bool(is_running), datetime.fromisoformat(at), int(number))


def _machine(arn: str, tenants: Sequence[AccountTenant]) -> AccountTenant:
    owner = machine_tenant(parse_machine(arn), tenants)
    if owner is None:
        raise no_such_machine(arn, tenants)
    return owner


def _check_name(name: str) -> None:
    if set(name) & _NOT_IN_NAMES or not name.isprintable():
        raise WireError("InvalidName", f"Invalid Name: '{name}'")


def _summary(execution: Execution, owner: AccountTenant, place: Place) -> dict[str, Any]:
    machine = execution.machine or machine_name(owner.group)
    summary = {
        "executionArn": place.execution(machine, execution.name),
        "stateMachineArn": place.machine(machine),
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.started_at,
        "stopDate": execution.stopped_at,
        "redriveCount": 0,
    }
    return {name: value for name, value in summary.items() if value is not None}


def _shown(owner: AccountTenant, place: Place) -> dict[str, Any]:
    name = machine_name(owner.group)
    return {
        "stateMachineArn": place.machine(name),
        "name": name,
        "type": "STANDARD",
        "creationDate": owner.created_at,
    }
