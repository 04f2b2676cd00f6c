"""Workers: a strict one refuses what the hosted service refuses, and several share the work."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import ExitStack
from typing import Any

import pytest

from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import RECIPES, computations, dataset_group, imported, new_version
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA, interactions_csv
from tests.support.processes import Process, process
from tests.support.waiting import until

# Workers are counted here.
pytestmark = pytest.mark.own_engine

# 1,200 events of 120 users; a tenth of them are purchases.
ROWS = [
    f"u{number % 120},i{number % 37},{1_700_000_000 + number},{'Purchase' if number % 10 == 0 else 'View'},"
    for number in range(1200)
]
CSV = "\n".join(["USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE", *ROWS]) + "\n"


def trained(engine: Engine, group: str, name: str, **settings: Any) -> dict[str, Any]:
    """What a version of these settings ends as."""
    personalize = engine.personalize
    solution = personalize.create_solution(
        name=name,
        datasetGroupArn=group,
        recipeArn=f"{RECIPES}/aws-popularity-count",
        performAutoTraining=False,
        **settings,
    )["solutionArn"]
    version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    return engine.finished(personalize.describe_solution_version, solutionVersionArn=version)


def test_too_few_events_fail_a_strict_worker_and_train_elsewhere(engine: Engine) -> None:
    strict = {**engine.environment, "ENGINE_STRICT": "1"}
    with process("engine", "worker", strict, engine.folder):
        arns = dataset_group(engine, "little", {"Interactions": INTERACTIONS_SCHEMA})
        imported(engine, arns["Interactions"], "little", CSV)
        refused = trained(engine, arns["group"], "strict", eventType="Purchase")
        enough = trained(engine, arns["group"], "enough")
    with process("engine", "worker", engine.environment, engine.folder):
        accepted = trained(engine, arns["group"], "lenient", eventType="Purchase")

    assert refused["status"] == "CREATE FAILED"
    sentence = "Dataset has fewer than 1000 interactions after filtering by event type: Purchase"
    assert sentence in refused["failureReason"]
    assert enough["status"] == accepted["status"] == "ACTIVE"


def test_several_workers_share_the_work(engine: Engine) -> None:
    personalize = engine.personalize
    alone = {**engine.environment, "ENGINE_WORKER_CONCURRENCY": "1"}
    with ExitStack() as running:
        workers = [running.enter_context(process("engine", "worker", alone, engine.folder)) for _ in range(3)]
        arns = dataset_group(engine, "shared", {"Interactions": INTERACTIONS_SCHEMA})
        imported(engine, arns["Interactions"], "shared", interactions_csv())
        solution = personalize.create_solution(
            name="shared",
            datasetGroupArn=arns["group"],
            recipeArn=f"{RECIPES}/aws-user-personalization",
            performAutoTraining=False,
        )["solutionArn"]
        versions = [
            personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"] for _ in range(6)
        ]
        held = _held(workers)
        for computation in held.values():
            os.kill(computation, signal.SIGCONT)
        ended = [
            engine.finished(personalize.describe_solution_version, solutionVersionArn=version)
            for version in versions
        ]

    assert len(held) == len(workers)
    assert {version["status"] for version in ended} == {"ACTIVE"}


def _held(workers: list[Process]) -> dict[int, int]:
    """Stop the first computation of each worker; gives those by their workers' process ids."""
    held: dict[int, int] = {}

    def all_held() -> bool:
        for worker in workers:
            for computation in computations(worker)[:1]:
                if worker.popen.pid not in held:
                    os.kill(computation, signal.SIGSTOP)
                    held[worker.popen.pid] = computation
        return len(held) == len(workers)

    until(all_held, "each worker computes", every=0.002)
    return held


def alike(engine: Engine, version: str, item: str) -> list[str]:
    """What a version finds like an item, in a batch."""
    personalize = engine.personalize
    name = f"alike-{time.monotonic_ns()}"
    job = personalize.create_batch_inference_job(
        jobName=name,
        solutionVersionArn=version,
        jobInput={"s3DataSource": {"path": engine.put(f"{name}.json", json.dumps({"itemId": item}))}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/answers/"}},
        roleArn=ROLE,
        numResults=1,
    )["batchInferenceJobArn"]
    ended = engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=job)
    assert ended["status"] == "ACTIVE", ended
    found: list[str] = json.loads(engine.get(f"answers/{name}.json.out"))["output"]["recommendedItems"]
    return found


def test_incremental_updates_take_new_items_into_the_version_that_is_there(engine: Engine) -> None:
    header = "ITEM_ID,CATEGORY,PRICE\n"
    personalize = engine.personalize
    with process("engine", "worker", engine.environment, engine.folder):
        arns = dataset_group(engine, "growing", {"Items": ITEMS_SCHEMA})
        imported(engine, arns["Items"], "growing", f"{header}hat,blue hat,1\nmug,clay mug,2\n")
        solution = personalize.create_solution(
            name="growing",
            datasetGroupArn=arns["group"],
            recipeArn=f"{RECIPES}/aws-semantic-similarity",
            performAutoTraining=False,
            performIncrementalUpdate=True,
        )["solutionArn"]
        version = new_version(engine, solution)
        more = f"{header}cup,clay cup,3\n"
        imported(engine, arns["Items"], "growing-on", more, "INCREMENTAL")
        assert alike(engine, version, "mug") == ["hat"]

    with process("engine", "worker", {**engine.environment, "ENGINE_RENEWAL_MINUTES": "0"}, engine.folder):
        until(lambda: alike(engine, version, "mug") == ["cup"], "the new item is found")
    assert len(personalize.list_solution_versions(solutionArn=solution)["solutionVersions"]) == 1
