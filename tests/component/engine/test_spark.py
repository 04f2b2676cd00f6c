"""A worker that computes on Spark: the same jobs, the same answers, the same counts of circumstances."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.engine.domain.locations import model_prefix
from shared import models
from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import RECIPES, dataset_group, imported
from tests.component.engine.shop import INTERACTIONS_SCHEMA, USERS, interactions_csv
from tests.support.processes import process

# The worker at work is one with Spark.
pytestmark = pytest.mark.own_engine

DEVICE = {"name": "DEVICE", "type": ["null", "string"], "categorical": True}
WITH_DEVICE = INTERACTIONS_SCHEMA | {"fields": [*INTERACTIONS_SCHEMA["fields"], DEVICE]}


@dataclass(frozen=True)
class Trained:
    """What came of a version: its answers to everybody and to a bad line, its context, its worker's log."""

    answers: list[dict[str, Any]]
    context: models.Context
    log: str


def devices_csv() -> str:
    """The shop's interactions, each item met on one device; every seventh row says none."""
    header, *rows = interactions_csv().splitlines()
    described = [
        f"{row},{'' if number % 7 == 0 else ('phone', 'tablet')[int(row.split(',')[1][1:]) % 2]}"
        for number, row in enumerate(rows)
    ]
    return "\n".join([f"{header},DEVICE", *described]) + "\n"


def trained_and_asked(engine: Engine, solution: str, name: str, folder: Path) -> Trained:
    """A version of its own, its model's context, and what it answers."""
    personalize = engine.personalize
    version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    ended = engine.finished(personalize.describe_solution_version, solutionVersionArn=version)
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
    ended = engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=job)
    assert ended["status"] == "ACTIVE", ended
    answers = [json.loads(line) for line in engine.get(f"{name}/{name}.json.out").splitlines()]
    return Trained(answers, context_of(engine, version, folder / name), "")


def context_of(engine: Engine, version: str, folder: Path) -> models.Context:
    """The context in a version's model, as a recommender that copies its folder reads it."""
    folder.mkdir()
    solution, identifier = version.split("/")[-2:]
    prefix = model_prefix("spread", solution, identifier)
    listed = engine.s3.list_objects_v2(Bucket="endcap-data", Prefix=prefix)["Contents"]
    for key in (entry["Key"] for entry in listed):
        engine.s3.download_file("endcap-data", key, str(folder / key.removeprefix(prefix)))
    return models.load(folder).context


@pytest.fixture(scope="module")
def trained(
    engine: Engine, spark_packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Trained]:
    """The same solution trained `here`, by a worker without Spark, and `there`, by one with it."""
    folder = tmp_path_factory.mktemp("models")
    with process("engine", "worker", engine.environment, engine.folder) as local:
        arns = dataset_group(engine, "spread", {"Interactions": WITH_DEVICE})
        imported(engine, arns["Interactions"], "spread", devices_csv())
        solution = engine.personalize.create_solution(
            name="spread",
            datasetGroupArn=arns["group"],
            # Of all recipes this one asks Spark for the fewest sums, and each sum is a job of a second.
            # tests/integration/engine/test_cluster.py fits the others.
            recipeArn=f"{RECIPES}/endcap-item-affinity",
            performAutoTraining=False,
        )["solutionArn"]
        here = trained_and_asked(engine, solution, "here", folder)
    spread = engine.environment | {
        "ENGINE_COMPUTE": "spark",
        "ENGINE_SPARK_MASTER": "local[2]",
        "PYTHONPATH": str(spark_packages),
    }
    with process("engine", "worker", spread, engine.folder) as worker:
        there = trained_and_asked(engine, solution, "there", folder)
    return {
        "here": replace(here, log=local.log.read_text()),
        "there": replace(there, log=worker.log.read_text()),
    }


def test_a_worker_with_spark_answers_as_one_without(trained: dict[str, Trained]) -> None:
    here, there = trained["here"].answers, trained["there"].answers

    assert "org/apache/spark" in trained["there"].log
    assert "org/apache/spark" not in trained["here"].log
    assert [line["input"] for line in there] == [line["input"] for line in here]
    assert [line["error"] for line in there] == [line["error"] for line in here]
    for mine, other in zip(here, there, strict=True):
        if mine["error"] is None:
            ours, theirs = mine["output"]["scores"], other["output"]["scores"]
            assert theirs == pytest.approx(ours, abs=1e-4)
            assert dict(zip(mine["output"]["recommendedItems"], ours, strict=True)).keys() == set(
                other["output"]["recommendedItems"]
            )


def test_what_a_requests_context_says_is_counted_alike_with_spark(trained: dict[str, Trained]) -> None:
    here, there = trained["here"].context, trained["there"].context

    assert (here.columns, here.counted) == (("DEVICE",), ("DEVICE",))
    assert (there.columns, there.counted) == (here.columns, here.counted)
    assert here.values.strings == ["0:phone", "0:tablet"]
    assert there.values.strings == here.values.strings
    assert here.counts.sum() == sum(row.endswith(("phone", "tablet")) for row in devices_csv().splitlines())
    for name, array in here.arrays().items():
        assert np.abs(there.arrays()[name] - array).max() < 1e-6, name
    for device in ("phone", "tablet"):
        mine, theirs = (context.factor({"device": device}) for context in (here, there))
        assert mine is not None
        assert theirs is not None
        assert np.ptp(mine) > 1
        assert np.abs(theirs - mine).max() < 1e-6
