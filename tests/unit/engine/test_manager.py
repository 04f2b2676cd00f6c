"""Actions of the manager function, with the operations replaced."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ConfigDict

from services.engine.personalize.manager import Manager
from shared.auth import Principal
from shared.aws import WireError, WireModel
from shared.aws_server import Call, Operation

CALL = Call(Principal("default", None, frozenset({"admin"}), "key"), "r1")


class Anything(WireModel):
    """A request that shows what it got."""

    model_config = ConfigDict(extra="allow")


def manager(**replies: dict[str, Any]) -> tuple[Manager, list[tuple[str, dict[str, Any]]]]:
    """A manager whose operations answer with these, and the calls that they got."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def operation(name: str) -> Operation[Any]:
        async def handle(_: Call, request: Anything) -> dict[str, Any]:
            calls.append((name, request.model_extra or {}))
            return replies[name]

        also: Any = ("catalogue",) if name == "CreateDatasetImportJob" else ()
        return Operation(name, Anything, "admin", handle, also_needs=also)

    return Manager({name: operation(name) for name in replies}), calls


async def run(target: Manager, **payload: Any) -> dict[str, Any]:
    return await target.run(CALL, orjson.dumps(payload))


async def test_an_action_makes_a_resource_and_answers_its_arn() -> None:
    target, calls = manager(CreateDatasetGroup={"datasetGroupArn": "arn", "domain": "ECOMMERCE"})

    answer = await run(target, action="create_dataset_group", dataset_group_name="shop", domain="ECOMMERCE")

    assert answer == {"dataset_group_arn": "arn", "domain": "ECOMMERCE"}
    assert calls == [("CreateDatasetGroup", {"name": "shop", "domain": "ECOMMERCE"})]


async def test_an_import_needs_the_scope_of_its_operation() -> None:
    target, calls = manager(CreateDatasetImportJob={"datasetImportJobArn": "arn"})

    with pytest.raises(Exception, match="catalogue"):
        await run(target, action="import_data", job_name="j", dataset_arn="d", s3_data_source="s3://b/k")

    assert not calls


@pytest.mark.parametrize(
    ("status", "is_complete"), [("ACTIVE", True), ("CREATE FAILED", True), ("CREATE IN_PROGRESS", False)]
)
async def test_the_status_of_a_resource_says_whether_to_wait(status: str, is_complete: bool) -> None:  # noqa: FBT001
    resource = {"solutionVersionArn": "arn", "status": status}
    target, calls = manager(DescribeSolutionVersion={"solutionVersion": resource})

    answer = await run(target, action="check_status", resource_type="solution_version", resource_arn="arn")

    assert (answer["status"], answer["is_complete"]) == (status, is_complete)
    assert calls == [("DescribeSolutionVersion", {"solutionVersionArn": "arn"})]


async def test_resources_of_a_type_are_listed() -> None:
    target, _ = manager(ListSolutions={"solutions": [{"solutionArn": "arn", "recipeArn": "r"}]})

    answer = await run(target, action="list_resources", resource_type="solution")

    assert answer == {"solutions": [{"solution_arn": "arn", "recipe_arn": "r"}]}


@pytest.mark.parametrize("payload", [b"[1]", b'{"action": 3}', b'{"action": "check_status"}', b"{}"])
async def test_what_is_no_action_is_refused_with_those_that_exist(payload: bytes) -> None:
    target, _ = manager()

    with pytest.raises(WireError) as refused:
        await target.run(CALL, payload)

    assert refused.value.code == "ValueError"
