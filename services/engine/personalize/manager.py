"""The manager function of manuals: `{"action": "create_dataset_group", …}` calls the control plane.

Members are in snake case, as in such functions; answers are `<resource>_arn`, `status` and the like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from shared.aws import WireError
from shared.aws.protocols import Reply, encode, validated
from shared.aws_server import Call, Operation


@dataclass(frozen=True, slots=True)
class Action:
    """An action: its operation, the names that it has for members, and those that it needs."""

    operation: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    nested: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Members that the operation has inside of another one."""


ACTIONS: Final[Mapping[str, Action]] = {
    "create_dataset_group": Action("CreateDatasetGroup", {"dataset_group_name": "name"}),
    "create_schema": Action("CreateSchema", {"schema_name": "name"}),
    "create_dataset": Action("CreateDataset", {"dataset_name": "name"}),
    "import_data": Action(
        "CreateDatasetImportJob", nested={"s3_data_source": ("dataSource", "dataLocation")}
    ),
    "create_solution": Action("CreateSolution", {"solution_name": "name"}),
    "create_solution_version": Action("CreateSolutionVersion", {"solution_version_name": "name"}),
    "create_campaign": Action("CreateCampaign", {"campaign_name": "name"}),
    "update_campaign": Action("UpdateCampaign"),
    "create_event_tracker": Action(
        "CreateEventTracker", {"event_tracker_name": "name", "tracker_name": "name"}
    ),
}
"""Actions that make or change a resource."""

RESOURCES: Final = (
    "dataset_group",
    "schema",
    "dataset",
    "dataset_import_job",
    "solution",
    "solution_version",
    "campaign",
    "event_tracker",
)
"""The values of `resource_type`."""

_NO_STATUS: Final = frozenset(("schema",))


@dataclass(frozen=True, slots=True)
class Manager:
    """Runs actions with the operations of the control plane."""

    operations: Mapping[str, Operation[Any]]

    async def run(self, call: Call, payload: bytes) -> dict[str, Any]:
        """Return the answer of an action; raises WireError if it, or the operation behind it, fails."""
        document = _document(payload)
        action = document.pop("action", None)
        match action:
            case "check_status":
                return await self._status(call, document)
            case "list_resources":
                return await self._list(call, document)
            case str() if action in ACTIONS:
                return _snake(await self._call(call, ACTIONS[action], document))
        names = ", ".join((*ACTIONS, "check_status", "list_resources"))
        raise WireError("ValueError", f"Unknown action: {str(action)[:100]}. The actions are {names}.")

    async def _call(self, call: Call, action: Action, document: dict[str, Any]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for name, value in document.items():
            renamed = action.renamed.get(name, name)
            if renamed in action.nested:
                outer, inner = action.nested[renamed]
                members[outer] = {inner: value}
            elif renamed == "schema" and not isinstance(value, str):
                members["schema"] = json.dumps(value)
            else:
                members[renamed] = value
        return await self._operation(call, action.operation, members)

    async def _status(self, call: Call, document: dict[str, Any]) -> dict[str, Any]:
        kind = _kind(document.get("resource_type"))
        if kind in _NO_STATUS:
            raise WireError("ValueError", f"A {kind} has no status.")
        member = _camel(f"{kind}_arn")
        arn = document.get("resource_arn", document.get(f"{kind}_arn"))
        described = await self._operation(call, f"Describe{_pascal(kind)}", {member: arn})
        resource: dict[str, Any] = described[_camel(kind)]
        status = resource["status"]
        reason = resource.get("failureReason")
        return {
            "resource_type": kind,
            "resource_arn": resource[member],
            "status": status,
            "is_complete": status == "ACTIVE" or status.endswith(("FAILED", "STOPPED")),
            **({"failure_reason": reason} if reason else {}),
        }

    async def _list(self, call: Call, document: dict[str, Any]) -> dict[str, Any]:
        """Return the first hundred resources of each type, or of one; `dataset_group_arn` selects a group."""
        requested = document.get("resource_type")
        kinds = RESOURCES if requested is None else (_kind(requested),)
        group = document.get("dataset_group_arn")
        listed: dict[str, Any] = {}
        for kind in kinds:
            filters = {"datasetGroupArn": group} if group and kind in _OF_A_GROUP else {}
            reply = await self._operation(call, f"List{_pascal(kind)}s", {"maxResults": 100, **filters})
            listed[f"{kind}s"] = [_snake(each) for each in reply[_camel(f"{kind}s")]]
        return listed

    async def _operation(self, call: Call, name: str, members: Mapping[str, Any]) -> dict[str, Any]:
        operation = self.operations[name]
        for scope in operation.also_needs:
            call.principal.may(scope)
        reply = await operation.handle(call, validated(operation.request, dict(members)))
        return _plain(reply)


_OF_A_GROUP: Final = frozenset(("dataset", "solution", "event_tracker"))


def _document(payload: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(payload or b"{}")
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise WireError("InvalidRequestContentException", message) from None
    if not isinstance(document, dict):
        raise WireError(
            "ValueError", 'The payload is not a JSON object such as {"action": "list_resources"}.'
        )
    return document


def _kind(name: object) -> str:
    kind = str(name or "").lower().replace("-", "_")
    if kind not in RESOURCES:
        raise WireError("ValueError", f"resource_type is one of {', '.join(RESOURCES)}.")
    return kind


def _plain(reply: Reply) -> dict[str, Any]:
    document = orjson.loads(encode(reply) or b"{}")
    assert isinstance(document, dict)
    return document


def _pascal(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def _camel(name: str) -> str:
    pascal = _pascal(name)
    return pascal[0].lower() + pascal[1:]


def _snake(document: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): value for name, value in document.items()}
