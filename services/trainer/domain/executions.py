"""Executions: what Step Functions shows of runs, their ARNs, their history and the definition of the machine.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_Operations.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from services.trainer.domain.runs import DATASET_TYPES, STEPS
from shared.aws import WireError
from shared.aws.accounts import MAIN_GROUP, AccountTenant, main_tenant

MACHINE: Final = "ml-workflow"
"""The name of the state machine, or the end of its name."""

NAME_KEPT: Final = timedelta(days=90)
"""Time for which the name of a closed execution can't be used again: a rule of Step Functions."""

MAX_ERROR_CHARACTERS: Final = 256
MAX_CAUSE_CHARACTERS: Final = 32_768
"""Limits of Step Functions."""

_DATASET_KINDS: Final = frozenset(name.lower() for name in DATASET_TYPES)

_ARN: Final = re.compile(
    r"arn:[a-z\d-]+:states:[^:]*:[^:]*:(?P<kind>stateMachine|execution):(?P<name>[^:]+)(?::(?P<execution>[^:]+))?"
)


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution and the state of its run."""

    id: int
    tenant: str
    name: str
    machine: str | None
    input: str
    run: int
    reasons: Sequence[str]
    started_at: datetime
    status: str
    stopped_at: datetime | None
    error: str | None
    cause: str | None


class ImportedFile(NamedTuple):
    """A file that an execution imports: its location, and its kind if the input tells it."""

    location: str
    kind: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """The region and the account that ARNs of an answer have."""

    region: str
    account: str

    def machine(self, name: str) -> str:
        """Return the ARN of a state machine."""
        return f"arn:aws:states:{self.region}:{self.account}:stateMachine:{name}"

    def execution(self, machine: str, name: str) -> str:
        """Return the ARN of an execution."""
        return f"arn:aws:states:{self.region}:{self.account}:execution:{machine}:{name}"


def machine_name(group: str) -> str:
    """Return the name of the state machine of a dataset group."""
    return MACHINE if group == MAIN_GROUP else f"{group}-{MACHINE}"


def parse_machine(arn: str) -> str:
    """Return the name in the ARN of a state machine, without a version; raises WireError InvalidArn."""
    match = _ARN.fullmatch(arn)
    if match is None or match["kind"] != "stateMachine":
        raise _invalid_arn(arn)
    return match["name"]


def parse_execution(arn: str) -> tuple[str, str]:
    """Return the names of machine and execution in the ARN of an execution; raises WireError InvalidArn."""
    match = _ARN.fullmatch(arn)
    if match is None or match["kind"] != "execution" or match["execution"] is None:
        raise _invalid_arn(arn)
    return match["name"], match["execution"]


def machine_tenant(name: str, tenants: Sequence[AccountTenant]) -> AccountTenant | None:
    """Return the tenant of a state machine: that of `<group>-ml-workflow`, else the account's main tenant.

    The main tenant's machine is also found by any other name that ends with ml-workflow, as manuals have it.
    """
    for tenant in tenants:
        if name == machine_name(tenant.group):
            return tenant
    return main_tenant(tenants) if name.lower().endswith(MACHINE) else None


def checked_input(text: str) -> dict[str, Any]:
    """Return the members of an input; raises WireError InvalidExecutionInput if it is no JSON object."""
    try:
        document = orjson.loads(text)
    except ValueError as error:
        raise invalid_execution_input(str(error)) from None
    if not isinstance(document, dict):
        raise invalid_execution_input("it is not a JSON object")
    return document


def group_of_input(document: Mapping[str, Any]) -> str | None:
    """Return the name of the dataset group that an input names; None if it names none, or an empty one."""
    for member in ("datasetGroupArn", "datasetArn"):
        arn = document.get(member)
        if isinstance(arn, str) and arn:
            parts = arn.partition(":personalize:")[2].split("/")
            if len(parts) < 2 or not parts[1]:
                raise invalid_execution_input(f"{member} is not an ARN of Personalize")
            return parts[1]
        if arn not in (None, ""):
            raise invalid_execution_input(f"{member} is not a text")
    return None


def file_of_input(document: Mapping[str, Any]) -> ImportedFile | None:
    """Return the file that an input names; None without one.

    Its kind is the last part of `datasetArn`, if that is the type of a dataset; the file's name decides else.
    """
    location = document.get("dataLocation")
    if location in (None, ""):
        return None
    if not isinstance(location, str):
        raise invalid_execution_input("dataLocation is not a text")
    last = str(document.get("datasetArn") or "").rpartition("/")[2].lower()
    return ImportedFile(location, last if last in _DATASET_KINDS else None)


def reason_of_input(document: Mapping[str, Any], execution: str) -> str:
    """Return the reason of the run that an execution starts."""
    names = [
        f"{member} {document[member]}"
        for member in ("jobName", "solutionName", "campaignName")
        if isinstance(document.get(member), str) and document[member]
    ]
    return f"execution {execution}{': ' if names else ''}{', '.join(names)}"[:500]


def history(execution: Execution, steps: Iterable[Mapping[str, Any]], role: str) -> list[dict[str, Any]]:
    """Return the events of an execution from its run's steps, oldest first."""
    events: list[dict[str, Any]] = []

    def add(kind: str, at: datetime | None, **details: Any) -> None:
        events.append(
            {
                "id": len(events) + 1,
                "previousEventId": len(events),
                "type": kind,
                "timestamp": at or execution.started_at,
                **details,
            }
        )

    # The run of a failed or aborted execution may have gone on without it.
    end = execution.stopped_at if execution.status in {"ABORTED", "FAILED"} else None
    whole = {"truncated": False}
    started = {"input": execution.input, "inputDetails": whole, "roleArn": role}
    add("ExecutionStarted", execution.started_at, executionStartedEventDetails=started)
    for step in steps:
        if not _has_happened(step["started_at"], end):
            continue
        entered = {"name": step["name"], "input": execution.input, "inputDetails": whole}
        add("TaskStateEntered", step["started_at"], stateEnteredEventDetails=entered)
        if step["status"] in {"done", "skipped"} and _has_happened(step["finished_at"], end):
            output = {"name": step["name"], "output": _json(step["detail"]), "outputDetails": whole}
            add("TaskStateExited", step["finished_at"], stateExitedEventDetails=output)
        elif step["status"] == "failed":
            failed = {"resourceType": "endcap", "resource": step["name"], **_reason(execution)}
            add("TaskFailed", step["finished_at"], taskFailedEventDetails=failed)
    match execution.status:
        case "SUCCEEDED":
            ended = {"output": output_of(execution, steps), "outputDetails": whole}
            add("ExecutionSucceeded", execution.stopped_at, executionSucceededEventDetails=ended)
        case "FAILED":
            add("ExecutionFailed", execution.stopped_at, executionFailedEventDetails=_reason(execution))
        case "TIMED_OUT":
            add("ExecutionTimedOut", execution.stopped_at, executionTimedOutEventDetails=_reason(execution))
        case "ABORTED":
            add("ExecutionAborted", execution.stopped_at, executionAbortedEventDetails=_reason(execution))
    return events


def output_of(execution: Execution, steps: Iterable[Mapping[str, Any]]) -> str:
    """Return the output of an execution that has succeeded: its run, generation, recipes and campaign."""
    details = {step["name"]: step["detail"] for step in steps}
    return _json(
        {
            "run": execution.run,
            "generation": execution.run,
            "recipes": details.get("manifest", {}).get("recipes", []),
            "campaignArn": details.get("campaign", {}).get("campaign"),
        }
    )


def definition(role: str) -> str:
    """Return the definition of the state machine (Amazon States Language): a task for each step of a run."""
    following = [*STEPS[1:], None]
    states = {
        name: {
            "Type": "Task",
            "Resource": f"arn:aws:states:::endcap:{name}",
            **({"Next": after} if after else {"End": True}),
        }
        for name, after in zip(STEPS, following, strict=True)
    }
    document = {
        "Comment": f"A training run of Endcap, in the role {role}. GET /v1/runs shows the same steps.",
        "StartAt": STEPS[0],
        "States": states,
    }
    return json.dumps(document)


def invalid_execution_input(reason: str) -> WireError:
    """Return the error for an input that can't start a run."""
    return WireError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{reason}'")


def no_such_machine(arn: str, tenants: Iterable[AccountTenant]) -> WireError:
    """Return the error for the ARN of a state machine that does not exist."""
    names = ", ".join(machine_name(tenant.group) for tenant in tenants) or "none"
    message = f"State Machine Does Not Exist: '{arn}'. The state machines of this account are {names}."
    return WireError("StateMachineDoesNotExist", message)


def _invalid_arn(arn: str) -> WireError:
    return WireError("InvalidArn", f"Invalid Arn: '{arn[:256]}'")


def _has_happened(at: datetime | None, end: datetime | None) -> bool:
    """Return whether `at` is a time, and not after the end of an execution."""
    return at is not None and (end is None or at <= end)


def _reason(execution: Execution) -> dict[str, str]:
    reason = {
        "error": (execution.error or "")[:MAX_ERROR_CHARACTERS],
        "cause": (execution.cause or "")[:MAX_CAUSE_CHARACTERS],
    }
    return {name: text for name, text in reason.items() if text}


def _json(document: Any) -> str:
    return orjson.dumps(document).decode()
