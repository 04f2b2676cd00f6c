"""A worker that computes on Spark: the same jobs, the same answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import RECIPES, dataset_group, imported
from tests.component.engine.shop import INTERACTIONS_SCHEMA, USERS, interactions_csv
from tests.support.processes import process

SECONDS = 280

pytestmark = [pytest.mark.timeout(2 * SECONDS)]


def trained_and_asked(engine: Engine, solution: str, name: str) -> list[dict[str, Any]]:
    """A version of its own, and what it answers to everybody and to a bad line."""
    personalize = engine.personalize
    version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    ended = engine.finished(personalize.describe_solution_version, SECONDS, solutionVersionArn=version)
    assert ended["status"] == "ACTIVE", ended
    lines = [f'{{"userId": "u{user}"}}' for user in range(USERS)]
    lines.insert(7, "nonsense")
    job = personalize.create_batch_inference_job(
        jobName=name,
        solutionVersionArn=version,
        numResults=5,
        jobInput={"s3DataSource": {"path": engine.put(f"{name}.json", "\n".join(lines))}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/{name}/"}},
        roleArn=ROLE,
    )["batchInferenceJobArn"]
    ended = engine.finished(personalize.describe_batch_inference_job, SECONDS, batchInferenceJobArn=job)
    assert ended["status"] == "ACTIVE", ended
    return [json.loads(line) for line in engine.get(f"{name}/{name}.json.out").splitlines()]


def test_a_worker_with_spark_answers_as_one_without(engine: Engine, spark_packages: Path) -> None:
    with process("engine", "worker", engine.environment, engine.folder) as local:
        arns = dataset_group(engine, "spread", {"Interactions": INTERACTIONS_SCHEMA})
        imported(engine, arns["Interactions"], "spread", interactions_csv())
        solution = engine.personalize.create_solution(
            name="spread",
            datasetGroupArn=arns["group"],
            recipeArn=f"{RECIPES}/aws-user-personalization",
            performAutoTraining=False,
        )["solutionArn"]
        here = trained_and_asked(engine, solution, "here")
    spread = engine.environment | {
        "ENGINE_COMPUTE": "spark",
        "ENGINE_SPARK_MASTER": "local[2]",
        "PYTHONPATH": str(spark_packages),
    }
    with process("engine", "worker", spread, engine.folder) as worker:
        there = trained_and_asked(engine, solution, "there")

    assert "org/apache/spark" in worker.log.read_text()
    assert "org/apache/spark" not in local.log.read_text()
    assert [line["input"] for line in there] == [line["input"] for line in here]
    assert [line["error"] for line in there] == [line["error"] for line in here]
    for mine, other in zip(here, there, strict=True):
        if mine["error"] is None:
            ours, theirs = mine["output"]["scores"], other["output"]["scores"]
            assert theirs == pytest.approx(ours, abs=1e-4)
            assert dict(zip(mine["output"]["recommendedItems"], ours, strict=True)).keys() == set(
                other["output"]["recommendedItems"]
            )
