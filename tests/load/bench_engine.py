"""The engine with the data of a shop, by its HTTP API: import, training, batch inference; time, CPU, memory.

    python -m tests.load engine                     180,000 users, 4,200 items, 2 M events, and 100,000 items
    ENDCAP_BENCH_SHOPS=large python -m tests.load engine     also ten times the users and events

Customers have three of sixty shelves each, where some items are far more popular than others, and return to
items; half of them have four events or fewer, as in shops.
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
"""The name of the bucket and of every resource."""
_SHELVES = 60
_BUSIEST = 500
"""The ratio of the events of the most and the least active customer, at most; arbitrary."""
_ROWS_AT_ONCE = 1_000_000
_TIMEOUT_SECONDS = 3600
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
"""The seconds that a step of SHOP may take on two cores."""
MAX_RATIO = 11
"""The ratio of the times of a step of LARGE and of SHOP, at most."""
MEMORY_MIB = 2048


@dataclass(frozen=True)
class Step:
    """The seconds of one job: wall time, its CPU time, and the CPU time of other processes meanwhile."""

    name: str
    seconds: float
    cpu: float
    other_cpu: float

    def reference(self) -> str:
        """Return CPU seconds, and the cores used by others: wall time says little on a shared machine."""
        return f"{self.cpu:.1f} s CPU; other processes used {self.other_cpu / self.seconds:.1f} cores"


def run() -> list[Figure]:
    """Measure every size in an engine of its own."""
    shop, figures = _measure_alone(SHOP)
    figures = [
        *(_figure(SHOP, step, BUDGETS.get(step.name), step.reference()) for step in shop),
        *figures,
    ]
    wide, memory = _measure_alone(WIDE)
    figures += [*(_figure(WIDE, step, None, step.reference()) for step in wide), *memory]
    if os.environ.get("ENDCAP_BENCH_SHOPS") == "large":
        large, memory = _measure_alone(LARGE)
        for step, before in zip(large, shop, strict=True):
            reference = f"{step.reference()}; {step.cpu / max(before.cpu, 0.01):.1f} × the CPU of the shop"
            figures.append(_figure(LARGE, step, MAX_RATIO * before.seconds, reference))
        figures += memory
    return figures


def _figure(size: Size, step: Step, limit: float | None, reference: str) -> Figure:
    name = f"engine, {size.name}: {step.name}"
    if limit is None:
        return Figure(name, step.seconds, "s", reference)
    return Figure(name, step.seconds, "s", reference, f"< {limit:.3g} s", limit)


def write_events(size: Size, folder: Path, *, seed: int = 11) -> None:
    """Write `interactions.csv`, ordered by time, and the input files of the batch jobs."""
    rng = np.random.default_rng(seed)
    activity = np.minimum(rng.pareto(1.1, size.users) + 1, _BUSIEST)
    more = rng.choice(size.users, size.events - size.users, p=activity / activity.sum())
    users = rng.permutation(np.concatenate((np.arange(size.users), more)))
    times = np.sort(rng.integers(1_700_000_000, 1_730_000_000, size.events))
    own = rng.integers(0, _SHELVES, (size.users, 3))
    with csv.CSVWriter(
        folder / "interactions.csv", _COLUMNS, write_options=csv.WriteOptions(quoting_style="none")
    ) as writer:
        for begin in range(0, size.events, _ROWS_AT_ONCE):
            rows = slice(begin, begin + _ROWS_AT_ONCE)
            writer.write(_events(rng, size, users[rows], own[users[rows]], times[rows]))
    with (folder / "users.json").open("w") as file:
        file.writelines(f'{{"userId": "u{user}"}}\n' for user in range(size.users))
    with (folder / "items.json").open("w") as file:
        file.writelines(f'{{"itemId": "i{item}"}}\n' for item in range(size.items))


def _events(rng: np.random.Generator, size: Size, users: Numbers, own: Numbers, times: Numbers) -> pa.Table:
    """Return events with random items; users, times: int64[events]; own: int64[events, 3], shelves."""
    count = len(users)
    shelf = own[np.arange(count), rng.integers(0, own.shape[1], count)]
    is_other = rng.random(count) < 0.15
    shelf[is_other] = rng.integers(0, _SHELVES, int(is_other.sum()))
    on_shelf = size.items // _SHELVES
    rank = np.minimum((on_shelf * rng.random(count) ** 2.5).astype(np.int64), on_shelf - 1)
    types = rng.choice(3, count, p=(0.8, 0.12, 0.08))
    kinds = np.array(["View", "AddToCart", "Purchase"], object)[types]
    columns = [_ids("u", users), _ids("i", shelf * on_shelf + rank), pa.array(times), pa.array(kinds)]
    return pa.table(columns, schema=_COLUMNS)


def _ids(letter: str, numbers: Numbers) -> pa.Array[Any]:
    return pa.array(np.char.add(letter, numbers.astype("U8")))


def _measure_alone(size: Size) -> tuple[list[Step], list[Figure]]:
    with product() as endcap:
        return measure(endcap, size)


def measure(endcap: Endcap, size: Size) -> tuple[list[Step], list[Figure]]:
    """Return what each step took, and the peak memory of the worker and its jobs."""
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
    """Import, training and batch inference through the HTTP API; every step is timed."""

    def __init__(self, personalize: Any, worker: int) -> None:
        self._personalize = personalize
        self._worker = worker
        self._steps: list[Step] = []

    def steps(self) -> list[Step]:
        group = self._personalize.create_dataset_group(name=_NAME)["datasetGroupArn"]
        self._import(group)
        users = self._version(group, "user-personalization")
        items = self._version(group, "similar-items")
        self._batch(users, "users")
        self._batch(items, "items")
        return self._steps

    def _import(self, group: str) -> None:
        schema = self._personalize.create_schema(name=_NAME, schema=json.dumps(_SCHEMA))["schemaArn"]
        dataset = self._personalize.create_dataset(
            name=_NAME, schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
        )["datasetArn"]
        with self._timed("import"):
            job = self._personalize.create_dataset_import_job(
                jobName=_NAME,
                datasetArn=dataset,
                dataSource={"dataLocation": f"s3://{_NAME}/interactions.csv"},
                roleArn=_ROLE,
            )["datasetImportJobArn"]
            _wait_until_active(self._personalize.describe_dataset_import_job, datasetImportJobArn=job)

    def _version(self, group: str, recipe: str) -> str:
        solution = self._personalize.create_solution(
            name=f"{_NAME}-{recipe}",
            datasetGroupArn=group,
            recipeArn=_RECIPE + recipe,
            performAutoTraining=False,
        )["solutionArn"]
        with self._timed(f"train {recipe}"):
            version = self._personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
            _wait_until_active(self._personalize.describe_solution_version, solutionVersionArn=version)
        return str(version)

    def _batch(self, version: str, kind: str) -> None:
        with self._timed(f"batch, all {kind}"):
            batch = self._personalize.create_batch_inference_job(
                jobName=f"{_NAME}-{kind}",
                solutionVersionArn=version,
                numResults=25,
                jobInput={"s3DataSource": {"path": f"s3://{_NAME}/{kind}.json"}},
                jobOutput={"s3DataDestination": {"path": f"s3://{_NAME}/out/"}},
                roleArn=_ROLE,
            )["batchInferenceJobArn"]
            _wait_until_active(self._personalize.describe_batch_inference_job, batchInferenceJobArn=batch)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began, own, all_ = time.monotonic(), tree_cpu_seconds(self._worker), machine_cpu_seconds()
        yield
        own, all_ = tree_cpu_seconds(self._worker) - own, machine_cpu_seconds() - all_
        self._steps.append(Step(name, time.monotonic() - began, own, max(all_ - own, 0.0)))


def _wait_until_active(describe: Any, **arn: str) -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        [described] = [value for name, value in describe(**arn).items() if name != "ResponseMetadata"]
        if described["status"] == "ACTIVE":
            return
        if described["status"] == "CREATE FAILED" or time.monotonic() > deadline:
            raise RuntimeError(f"{arn}: {described['status']}, {described.get('failureReason')}")
        time.sleep(0.1)
