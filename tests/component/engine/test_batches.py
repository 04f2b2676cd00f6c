"""Batch inference jobs of recipes that answer for an item, a list or everybody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import active_version, shop_group
from tests.support.processes import Process

RECIPES = "arn:aws:personalize:::recipe"


@pytest.fixture(scope="module")
def shop(engine: Engine, worker: Process) -> dict[str, str]:
    """A group with imported rows; each test trains a recipe of its own."""
    return shop_group(engine, "batches")


def test_similar_items_are_asked_for_by_item_and_have_no_scores(engine: Engine, shop: dict[str, str]) -> None:
    personalize = engine.personalize
    solution = personalize.create_solution(
        name="batches-similar", datasetGroupArn=shop["group"], recipeArn=f"{RECIPES}/aws-similar-items"
    )["solutionArn"]
    version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    ended = engine.finished(personalize.describe_solution_version, solutionVersionArn=version)
    assert ended["status"] == "ACTIVE", ended

    job = personalize.create_batch_inference_job(
        jobName="batches-similar",
        solutionVersionArn=version,
        jobInput={"s3DataSource": {"path": engine.put("items.json", '{"itemId": "i1"}\n{"userId": "u1"}')}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/similar/"}},
        roleArn=ROLE,
    )["batchInferenceJobArn"]
    engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=job)

    good, bad = (json.loads(line) for line in engine.get("similar/items.json.out").splitlines())
    assert "scores" not in good["output"]
    assert "i1" not in good["output"]["recommendedItems"]
    assert bad["error"]


def test_a_ranking_batch_puts_the_items_of_each_line_in_order(engine: Engine, shop: dict[str, str]) -> None:
    """u1 keeps to shelf 1, whose items are i1, i5, i9 …"""
    version = active_version(engine, shop["group"], "aws-personalized-ranking")
    given = ["i2", "stranger", "i1", "i3", "i5", "i1"]
    lines = [{"userId": "u1", "itemList": given}, {"userId": "u1"}, {"userId": "new", "itemList": ["i2"]}]
    source = engine.put("ranked.json", "".join(f"{json.dumps(line)}\n" for line in lines))
    job = engine.personalize.create_batch_inference_job(
        jobName="batches-ranked",
        solutionVersionArn=version,
        jobInput={"s3DataSource": {"path": source}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/ranked"}},
        roleArn=ROLE,
    )["batchInferenceJobArn"]
    ended = engine.finished(engine.personalize.describe_batch_inference_job, batchInferenceJobArn=job)
    assert ended["status"] == "ACTIVE", ended

    first, bad, new = (json.loads(line) for line in engine.get("ranked/ranked.json.out").splitlines())

    assert first["input"] == lines[0]
    items, scores = first["output"]["recommendedItems"], first["output"]["scores"]
    assert sorted(items) == sorted(set(given))
    assert set(items[:2]) == {"i1", "i5"}
    assert items[-1] == "stranger"
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert bad["output"] is None
    assert "itemList" in bad["error"]
    assert new == {"input": lines[2], "output": {"recommendedItems": ["i2"], "scores": [1.0]}, "error": None}


def test_events_of_the_tracker_train_along_with_what_was_imported(
    engine: Engine, shop: dict[str, str], tracked_event: Any
) -> None:
    personalize = engine.personalize
    for number in range(40):
        tracked_event("batches", user=f"t{number % 8}", item="only-tracked", second=number)

    solution = personalize.create_solution(
        name="batches-popular", datasetGroupArn=shop["group"], recipeArn=f"{RECIPES}/aws-popularity-count"
    )["solutionArn"]
    version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    ended = engine.finished(personalize.describe_solution_version, solutionVersionArn=version)
    assert ended["status"] == "ACTIVE", ended
    job = personalize.create_batch_inference_job(
        jobName="batches-popular",
        solutionVersionArn=version,
        numResults=500,
        jobInput={"s3DataSource": {"path": engine.put("anyone.json", '{"userId": "t1"}\n')}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/popular/"}},
        roleArn=ROLE,
    )["batchInferenceJobArn"]
    engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=job)

    answer = json.loads(engine.get("popular/anyone.json.out"))
    assert "only-tracked" in answer["output"]["recommendedItems"]
