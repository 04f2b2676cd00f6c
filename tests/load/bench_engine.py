"""The engine at a shop's size, by the wire: import, training, batch inference; time, CPU and memory.

    python -m tests.load engine                     180,000 users, 4,200 items, 2 M events, and 100,000 items
    ENDCAP_BENCH_SHOPS=large python -m tests.load engine     also ten times the users and events

Customers keep to a few of sixty shelves, where some items are far more popular than others, and come
back to what they had; half of them have three events or less, as in shops.
"""

from __future__ import annotations

import io
import json
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tests.load.figures import Figure, PeakMemory
from tests.load.product import product
from tests.support.product import Endcap
from tests.support.shop import Shop

_ROLE = "arn:aws:iam::000000000000:role/bench"
_RECIPE = "arn:aws:personalize:::recipe/"
_BUCKET = "bench"
_SHELVES = 60
_PATIENCE = 3600
_SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "version": "1.0",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
        {"name": "EVENT_TYPE", "type": "string"},
    ],
}


@dataclass(frozen=True)
class Size:
    """A shop to generate, and what its steps should stay below, in seconds of wall time."""

    name: str
    users: int
    items: int
    events: int
    budgets: tuple[str, str, str, str] = ("", "", "", "")


SHOP = Size("180,000 users", 180_000, 4_200, 2_000_000, ("< 10 s", "< 30 s", "< 10 s", "< 20 s"))
WIDE = Size("100,000 items", 180_000, 100_000, 2_000_000)
LARGE = Size("1.8 M users", 1_800_000, 4_200, 20_000_000, ("≤ 11 ×",) * 4)


def run() -> list[Figure]:
    """Every size in an engine of its own."""
    sizes = [SHOP, WIDE, *([LARGE] if os.environ.get("ENDCAP_BENCH_SHOPS") == "large" else [])]
    figures = []
    for size in sizes:
        with product() as endcap:
            figures += _measured(endcap, size)
    return figures


def events(size: Size, *, seed: int = 11) -> pa.Table:
    """The shop's interactions, in the order of their times."""
    chance = np.random.default_rng(seed)
    activity = chance.pareto(1.1, size.users) + 1
    users = chance.choice(size.users, size.events, p=activity / activity.sum())
    own = chance.integers(0, _SHELVES, (size.users, 3))
    shelf = own[users, chance.integers(0, 3, size.events)]
    astray = chance.random(size.events) < 0.15
    shelf[astray] = chance.integers(0, _SHELVES, int(astray.sum()))
    on_shelf = size.items // _SHELVES
    rank = np.minimum((on_shelf * chance.random(size.events) ** 2.5).astype(np.int64), on_shelf - 1)
    types = chance.choice(3, size.events, p=(0.8, 0.12, 0.08))
    return pa.table(
        {
            "USER_ID": _named("u", users),
            "ITEM_ID": _named("i", shelf * on_shelf + rank),
            "TIMESTAMP": np.sort(chance.integers(1_700_000_000, 1_730_000_000, size.events)),
            "EVENT_TYPE": np.array(["View", "AddToCart", "Purchase"], object)[types],
        }
    )


def _named(letter: str, numbers: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(np.char.add(letter, numbers.astype("U8")))


def _measured(endcap: Endcap, size: Size) -> list[Figure]:
    shop = Shop(endcap, endcap.stack.root)
    worker = endcap.pid("engine-worker")
    table = events(size)
    everybody = sorted(set(table["USER_ID"].to_pylist()))
    s3 = shop.boto3("s3")
    s3.create_bucket(Bucket=_BUCKET)
    body = io.BytesIO()
    csv.write_csv(table, body, csv.WriteOptions(quoting_style="none"))
    s3.put_object(Bucket=_BUCKET, Key="interactions.csv", Body=body.getvalue())
    lines = "".join(json.dumps({"userId": user}) + "\n" for user in everybody)
    s3.put_object(Bucket=_BUCKET, Key="users.json", Body=lines.encode())
    del table, body, lines
    with PeakMemory(worker) as memory:
        took = _steps(shop.boto3("personalize"))
    note = f"{len(everybody):,} users with events, {size.items:,} items, {size.events:,} events"
    names = ("import", "train user-personalization", "train similar-items", "batch inference, all users")
    return [
        *(
            Figure(f"engine, {size.name}: {name}", seconds, "s", note, budget)
            for name, seconds, budget in zip(names, took, size.budgets, strict=True)
        ),
        Figure(f"engine, {size.name}: peak memory", memory.mib, "MiB", "worker and its jobs", "< 2,048"),
    ]


def _steps(personalize: Any) -> list[float]:
    group = personalize.create_dataset_group(name="bench")["datasetGroupArn"]
    schema = personalize.create_schema(name="bench", schema=json.dumps(_SCHEMA))["schemaArn"]
    dataset = personalize.create_dataset(
        name="bench", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    took = []
    began = time.monotonic()
    job = personalize.create_dataset_import_job(
        jobName="bench",
        datasetArn=dataset,
        dataSource={"dataLocation": f"s3://{_BUCKET}/interactions.csv"},
        roleArn=_ROLE,
    )["datasetImportJobArn"]
    _ended(personalize.describe_dataset_import_job, datasetImportJobArn=job)
    took.append(time.monotonic() - began)
    versions = []
    for recipe in ("aws-user-personalization", "aws-similar-items"):
        solution = personalize.create_solution(
            name=recipe, datasetGroupArn=group, recipeArn=_RECIPE + recipe, performAutoTraining=False
        )["solutionArn"]
        began = time.monotonic()
        version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
        _ended(personalize.describe_solution_version, solutionVersionArn=version)
        took.append(time.monotonic() - began)
        versions.append(version)
    began = time.monotonic()
    batch = personalize.create_batch_inference_job(
        jobName="bench",
        solutionVersionArn=versions[0],
        numResults=25,
        jobInput={"s3DataSource": {"path": f"s3://{_BUCKET}/users.json"}},
        jobOutput={"s3DataDestination": {"path": f"s3://{_BUCKET}/out/"}},
        roleArn=_ROLE,
    )["batchInferenceJobArn"]
    _ended(personalize.describe_batch_inference_job, batchInferenceJobArn=batch)
    took.append(time.monotonic() - began)
    return took


def _ended(describe: Any, **arn: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        [described] = [value for name, value in describe(**arn).items() if name != "ResponseMetadata"]
        if described["status"] == "ACTIVE":
            return
        if described["status"] == "CREATE FAILED" or time.monotonic() > deadline:
            raise RuntimeError(f"{arn}: {described['status']}, {described.get('failureReason')}")
        time.sleep(0.1)
