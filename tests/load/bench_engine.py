"""The engine at a shop's size, by the wire: import, training, batch inference; time, CPU and memory.

    python -m tests.load engine                     180,000 users, 4,200 items, 2 M events, and 100,000 items
    ENDCAP_BENCH_SHOPS=large python -m tests.load engine     also ten times the users and events

Customers keep to a few of sixty shelves, where some items are far more popular than others, and come
back to what they had; half of them have four events or less, as in shops.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tests.load.figures import Figure, PeakMemory, machine_cpu_seconds, tree_cpu_seconds
from tests.load.product import product
from tests.support.product import Endcap
from tests.support.shop import Shop

Numbers = np.ndarray[Any, Any]

_ROLE = "arn:aws:iam::000000000000:role/bench"
_RECIPE = "arn:aws:personalize:::recipe/aws-"
_NAME = "bench-engine"
"""Of the bucket and of every resource."""
_SHELVES = 60
_BUSIEST = 500
"""How much more than the calmest customer the busiest one does."""
_AT_ONCE = 1_000_000
_PATIENCE = 3600
_FIELDS = [
    {"name": "USER_ID", "type": "string"},
    {"name": "ITEM_ID", "type": "string"},
    {"name": "TIMESTAMP", "type": "long"},
    {"name": "EVENT_TYPE", "type": "string"},
]
_SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "version": "1.0",
    "fields": _FIELDS,
}


_TYPES: dict[str, pa.DataType] = {"string": pa.string(), "long": pa.int64()}
_COLUMNS = pa.schema([(field["name"], _TYPES[field["type"]]) for field in _FIELDS])


@dataclass(frozen=True)
class Size:
    """A shop to generate."""

    name: str
    users: int
    items: int
    events: int


SHOP = Size("180,000 users", 180_000, 4_200, 2_000_000)
WIDE = Size("100,000 items", 180_000, 100_000, 2_000_000)
LARGE = Size("1.8 M users", 1_800_000, 4_200, 20_000_000)
BUDGETS = {
    "import": 10.0,
    "train user-personalization": 30.0,
    "train similar-items": 10.0,
    "batch, all users": 20.0,
}
"""Seconds that a step of SHOP may take on two cores."""
TIMES = 11
"""How many times as long a step of LARGE may take as the same step of SHOP."""
MEMORY_MIB = 2048


@dataclass(frozen=True)
class Step:
    """What one job took, in seconds: of wall time, of its processors' time, and of all others' meanwhile."""

    name: str
    seconds: float
    cpu: float
    others: float

    def reference(self) -> str:
        """Wall time says little where others compute too."""
        return f"{self.cpu:.1f} s CPU; others kept {self.others / self.seconds:.1f} cores busy"


def run() -> list[Figure]:
    """Every size in an engine of its own."""
    shop, figures = _measured(SHOP)
    figures = [
        *(_figure(SHOP, step, BUDGETS.get(step.name), step.reference()) for step in shop),
        *figures,
    ]
    wide, memory = _measured(WIDE)
    figures += [*(_figure(WIDE, step, None, step.reference()) for step in wide), *memory]
    if os.environ.get("ENDCAP_BENCH_SHOPS") == "large":
        large, memory = _measured(LARGE)
        for step, before in zip(large, shop, strict=True):
            reference = f"{step.reference()}; {step.cpu / max(before.cpu, 0.01):.1f} × the CPU of the shop"
            figures.append(_figure(LARGE, step, TIMES * before.seconds, reference))
        figures += memory
    return figures


def _figure(size: Size, step: Step, most: float | None, reference: str) -> Figure:
    name = f"engine, {size.name}: {step.name}"
    if most is None:
        return Figure(name, step.seconds, "s", reference)
    return Figure(name, step.seconds, "s", reference, f"< {most:.3g} s", most)


def write_events(size: Size, folder: Path, *, seed: int = 11) -> None:
    """The shop's `interactions.csv`, in the order of their times, and lines to ask with."""
    chance = np.random.default_rng(seed)
    activity = np.minimum(chance.pareto(1.1, size.users) + 1, _BUSIEST)
    more = chance.choice(size.users, size.events - size.users, p=activity / activity.sum())
    users = chance.permutation(np.concatenate((np.arange(size.users), more)))
    times = np.sort(chance.integers(1_700_000_000, 1_730_000_000, size.events))
    own = chance.integers(0, _SHELVES, (size.users, 3))
    with csv.CSVWriter(
        folder / "interactions.csv", _COLUMNS, write_options=csv.WriteOptions(quoting_style="none")
    ) as writer:
        for begin in range(0, size.events, _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            writer.write(_chosen(chance, size, users[some], own[users[some]], times[some]))
    with (folder / "users.json").open("w") as file:
        file.writelines(f'{{"userId": "u{user}"}}\n' for user in range(size.users))
    with (folder / "items.json").open("w") as file:
        file.writelines(f'{{"itemId": "i{item}"}}\n' for item in range(size.items))


def _chosen(
    chance: np.random.Generator, size: Size, users: Numbers, own: Numbers, times: Numbers
) -> pa.Table:
    """What these users turned to at these times: most often something from a shelf of their own."""
    count = len(users)
    shelf = own[np.arange(count), chance.integers(0, own.shape[1], count)]
    astray = chance.random(count) < 0.15
    shelf[astray] = chance.integers(0, _SHELVES, int(astray.sum()))
    on_shelf = size.items // _SHELVES
    rank = np.minimum((on_shelf * chance.random(count) ** 2.5).astype(np.int64), on_shelf - 1)
    types = chance.choice(3, count, p=(0.8, 0.12, 0.08))
    kinds = np.array(["View", "AddToCart", "Purchase"], object)[types]
    columns = [_named("u", users), _named("i", shelf * on_shelf + rank), pa.array(times), pa.array(kinds)]
    return pa.table(columns, schema=_COLUMNS)


def _named(letter: str, numbers: Numbers) -> pa.Array[Any]:
    return pa.array(np.char.add(letter, numbers.astype("U8")))


def _measured(size: Size) -> tuple[list[Step], list[Figure]]:
    with product() as endcap:
        return measure(endcap, size)


def measure(endcap: Endcap, size: Size) -> tuple[list[Step], list[Figure]]:
    """What every step took, and what memory the worker and its jobs held at most."""
    with Shop(endcap, endcap.stack.root) as shop:
        s3, personalize = shop.boto3("s3"), shop.boto3("personalize")
    s3.create_bucket(Bucket=_NAME)
    write_events(size, endcap.stack.root)
    for name in ("interactions.csv", "users.json", "items.json"):
        path = endcap.stack.root / name
        s3.upload_file(str(path), _NAME, name)
        path.unlink()
    worker = endcap.pid("engine-worker")
    with PeakMemory(worker) as memory:
        steps = _Shop(personalize, worker).steps()
    name = f"engine, {size.name}: peak memory"
    return steps, [Figure(name, memory.mib, "MiB", "worker and its jobs", "< 2,048 MiB", MEMORY_MIB)]


class _Shop:
    """The way from a file to lists, by the wire; every step is timed."""

    def __init__(self, personalize: Any, worker: int) -> None:
        self._wire = personalize
        self._worker = worker
        self._took: list[Step] = []

    def steps(self) -> list[Step]:
        group = self._wire.create_dataset_group(name=_NAME)["datasetGroupArn"]
        self._import(group)
        users = self._version(group, "user-personalization")
        items = self._version(group, "similar-items")
        self._batch(users, "users")
        self._batch(items, "items")
        return self._took

    def _import(self, group: str) -> None:
        schema = self._wire.create_schema(name=_NAME, schema=json.dumps(_SCHEMA))["schemaArn"]
        dataset = self._wire.create_dataset(
            name=_NAME, schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
        )["datasetArn"]
        with self._timed("import"):
            job = self._wire.create_dataset_import_job(
                jobName=_NAME,
                datasetArn=dataset,
                dataSource={"dataLocation": f"s3://{_NAME}/interactions.csv"},
                roleArn=_ROLE,
            )["datasetImportJobArn"]
            _ended(self._wire.describe_dataset_import_job, datasetImportJobArn=job)

    def _version(self, group: str, recipe: str) -> str:
        solution = self._wire.create_solution(
            name=f"{_NAME}-{recipe}",
            datasetGroupArn=group,
            recipeArn=_RECIPE + recipe,
            performAutoTraining=False,
        )["solutionArn"]
        with self._timed(f"train {recipe}"):
            version: str = self._wire.create_solution_version(solutionArn=solution)["solutionVersionArn"]
            _ended(self._wire.describe_solution_version, solutionVersionArn=version)
        return version

    def _batch(self, version: str, whose: str) -> None:
        with self._timed(f"batch, all {whose}"):
            batch = self._wire.create_batch_inference_job(
                jobName=f"{_NAME}-{whose}",
                solutionVersionArn=version,
                numResults=25,
                jobInput={"s3DataSource": {"path": f"s3://{_NAME}/{whose}.json"}},
                jobOutput={"s3DataDestination": {"path": f"s3://{_NAME}/out/"}},
                roleArn=_ROLE,
            )["batchInferenceJobArn"]
            _ended(self._wire.describe_batch_inference_job, batchInferenceJobArn=batch)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began, own, all_ = time.monotonic(), tree_cpu_seconds(self._worker), machine_cpu_seconds()
        yield
        own, all_ = tree_cpu_seconds(self._worker) - own, machine_cpu_seconds() - all_
        self._took.append(Step(name, time.monotonic() - began, own, max(all_ - own, 0.0)))


def _ended(describe: Any, **arn: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        [described] = [value for name, value in describe(**arn).items() if name != "ResponseMetadata"]
        if described["status"] == "ACTIVE":
            return
        if described["status"] == "CREATE FAILED" or time.monotonic() > deadline:
            raise RuntimeError(f"{arn}: {described['status']}, {described.get('failureReason')}")
        time.sleep(0.1)
