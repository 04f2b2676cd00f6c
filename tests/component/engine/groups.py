"""Dataset groups with imported data and trained versions, as tests of jobs begin with them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.component.engine import shapes
from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA, interactions_csv, items_csv
from tests.support.processes import Process
from tests.support.waiting import PATIENCE

RECIPES = "arn:aws:personalize:::recipe"


def dataset_group(engine: Engine, name: str, schemas: dict[str, Any]) -> dict[str, str]:
    """A group with an empty dataset for each schema; gives the ARNs, by `group` and type."""
    personalize = engine.personalize
    arns = {"group": personalize.create_dataset_group(name=name)["datasetGroupArn"]}
    for kind, schema in schemas.items():
        made = personalize.create_schema(name=f"{name}-{kind}", schema=json.dumps(schema))
        arns[kind] = personalize.create_dataset(
            name=f"{name}-{kind}",
            schemaArn=made["schemaArn"],
            datasetGroupArn=arns["group"],
            datasetType=kind,
        )["datasetArn"]
    return arns


def imported(engine: Engine, dataset: str, name: str, content: str, mode: str = "FULL", **more: Any) -> None:
    """Import a CSV file and wait for it."""
    personalize = engine.personalize
    arn = personalize.create_dataset_import_job(
        jobName=name,
        datasetArn=dataset,
        dataSource={"dataLocation": engine.put(f"{name}.csv", content)},
        roleArn=ROLE,
        importMode=mode,
        **more,
    )["datasetImportJobArn"]
    ended = engine.finished(personalize.describe_dataset_import_job, datasetImportJobArn=arn)
    assert ended["status"] == "ACTIVE", ended


def shop_group(engine: Engine, name: str) -> dict[str, str]:
    """Create a group with the imported interactions and items of the small shop; return its ARNs."""
    arns = dataset_group(engine, name, {"Interactions": INTERACTIONS_SCHEMA, "Items": ITEMS_SCHEMA})
    imported(engine, arns["Interactions"], f"{name}-interactions", interactions_csv())
    imported(engine, arns["Items"], f"{name}-items", items_csv())
    return arns


def active_version(engine: Engine, group: str, recipe: str) -> str:
    """Train a recipe on a group; gives the version's ARN."""
    personalize = engine.personalize
    name = f"{group.rpartition('/')[2]}-{recipe}"
    solution = personalize.create_solution(
        name=name, datasetGroupArn=group, recipeArn=f"{RECIPES}/{recipe}", performAutoTraining=False
    )["solutionArn"]
    return new_version(engine, solution)


def new_version(engine: Engine, solution: str) -> str:
    """Train a solution once more; gives the version's ARN."""
    personalize = engine.personalize
    arn: str = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    ended = engine.finished(personalize.describe_solution_version, solutionVersionArn=arn)
    assert ended["status"] == "ACTIVE", ended
    return arn


def computations(worker: Process) -> list[int]:
    """The processes in which a worker has its work done: forks of a child of its own."""
    servers = [child for child in _children(worker.popen.pid) if _is_fork_server(_command(child))]
    return [fork for server in servers for fork in _children(server)]


def _is_fork_server(command: bytes) -> bool:
    """Tell whether it is an interpreter of its own, or a fork (tests.support.forked_computations)."""
    return b"multiprocessing.forkserver" in command or b"tests.support.fork_server" in command


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def checked(engine: Engine, operation: str, **body: Any) -> Any:
    """Call an operation without boto3, and compare the answer with botocore's model of it."""
    headers = {
        "x-amz-target": f"AmazonPersonalize.{operation}",
        "x-api-key": engine.environment["ENDCAP_SERVICE_KEY"],
    }
    answer = httpx.post(engine.server.url, json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    body = answer.json() if answer.content else None
    assert shapes.differences(operation, body) == []
    return body
