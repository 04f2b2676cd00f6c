"""The product by boto3: CSV files in S3, import jobs, solution versions, metrics and batches."""

from __future__ import annotations

import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
from botocore.config import Config
from pyarrow import csv

from deploy.local.environment import external_components
from deploy.local.ports import Ports
from deploy.local.stack import Stack
from tests.load.quality.tasks import Task

_BUCKET = "quality"
_ROLE = "arn:aws:iam::000000000000:role/quality"
_TIMEOUT_SECONDS = 1800
_MAX_RESULTS = 500
_REQUIRED = {"USER_ID", "ITEM_ID", "TIMESTAMP"}
_TYPES = {pa.string(): "string", pa.int64(): "long"}


@contextmanager
def engine() -> Iterator[Product]:
    """Run an engine and its worker over components of their own, and remove them afterwards."""
    with tempfile.TemporaryDirectory(prefix="endcap-quality-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        ports = Ports.free()
        stack = Stack(Path(folder), ports, external_components(ports, os.environ), durable=False)
        try:
            stack.launch(("postgres", "kafka", "s3"), ends_with_caller=True)
            stack.start("postgres", "kafka")
            stack.prepare_database()
            stack.create_topics()
            stack.start("s3")
            stack.bootstrap()
            stack.start_product(["engine", "engine-worker"])
            yield Product(stack.client_environment())
        finally:
            stack.stop()


class Product:
    """A data scientist's program, with nothing but boto3 and an endpoint."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Create the clients of the engine and the object store, and a bucket."""
        self._personalize = _client("personalize", environment["AWS_ENDPOINT_URL_PERSONALIZE"], environment)
        self._s3 = _client("s3", environment["AWS_ENDPOINT_URL_S3"], environment)
        self._s3.create_bucket(Bucket=_BUCKET)
        self._count = 0

    def lists(self, task: Task, recipe: str) -> Iterator[tuple[str, list[str]]]:
        """Yield (user id, recommended item ids) of every test user of a task."""
        name = self._name()
        group = self._group(name)
        dataset = self._dataset(name, group, "Interactions", task.train.schema)
        self._import(name, dataset, task.train, "FULL")
        self._catalogue(name, group, task.items)
        own = dict(task.hyperparameters) if recipe == task.recipe else {}
        version = self._version(name, group, recipe, own)
        if task.later is not None:
            self._import(f"{name}-later", dataset, task.later, "INCREMENTAL")
        for user, items in self._batch(
            name, version, list(task.relevant), _MAX_RESULTS if task.seen else task.depth
        ):
            yield user, task.masked(user, items)

    def metrics(
        self, interactions: pa.Table, items: pa.Table | None, recipe: str, seed: int
    ) -> dict[str, float]:
        """Return GetSolutionMetrics of a dataset group whose user ids are permuted by this seed.

        The engine selects the tenth of the users that it tests by the order of their ids, so other ids
        select other users.
        """
        name = self._name()
        group = self._group(name)
        users = sorted({str(user) for user in interactions["USER_ID"].to_pylist()})
        numbers = np.random.default_rng(seed).permutation(len(users))
        renamed = {user: f"{number:09}" for user, number in zip(users, numbers.tolist(), strict=True)}
        column = pa.array([renamed[str(user)] for user in interactions["USER_ID"].to_pylist()])
        numbered = interactions.set_column(0, "USER_ID", column)
        self._import(name, self._dataset(name, group, "Interactions", numbered.schema), numbered, "FULL")
        if items is not None:
            self._catalogue(name, group, items)
        version = self._version(name, group, recipe, {})
        response = self._personalize.get_solution_metrics(solutionVersionArn=version)
        return dict(response["metrics"])

    def _name(self) -> str:
        self._count += 1
        return f"quality-{self._count}"

    def _group(self, name: str) -> str:
        arn: str = self._personalize.create_dataset_group(name=name)["datasetGroupArn"]
        self._wait_until_active(self._personalize.describe_dataset_group, datasetGroupArn=arn)
        return arn

    def _catalogue(self, name: str, group: str, items: pa.Table) -> None:
        if len(items.schema) == 1:
            # Amazon Personalize requires a column beside the ids.
            items = items.append_column("CREATION_TIMESTAMP", pa.nulls(len(items), pa.int64()))
        self._import(name, self._dataset(name, group, "Items", items.schema), items, "FULL")

    def _dataset(self, name: str, group: str, kind: str, columns: pa.Schema) -> str:
        schema = {
            "type": "record",
            "name": kind,
            "namespace": "com.amazonaws.personalize.schema",
            "fields": [_field(column) for column in columns],
            "version": "1.0",
        }
        created = self._personalize.create_schema(name=f"{name}-{kind}", schema=json.dumps(schema))
        arn: str = self._personalize.create_dataset(
            name=f"{name}-{kind}", schemaArn=created["schemaArn"], datasetGroupArn=group, datasetType=kind
        )["datasetArn"]
        return arn

    def _import(self, name: str, dataset: str, table: pa.Table, mode: str) -> None:
        kind = dataset.rpartition("/")[2].lower()
        content = io.BytesIO()
        csv.write_csv(table, content)
        content.seek(0)
        key = f"{name}/{kind}.csv"
        self._s3.upload_fileobj(content, _BUCKET, key)
        job = self._personalize.create_dataset_import_job(
            jobName=f"{name}-{kind}",
            datasetArn=dataset,
            dataSource={"dataLocation": f"s3://{_BUCKET}/{key}"},
            roleArn=_ROLE,
            importMode=mode,
        )["datasetImportJobArn"]
        self._wait_until_active(self._personalize.describe_dataset_import_job, datasetImportJobArn=job)

    def _version(self, name: str, group: str, recipe: str, hyperparameters: dict[str, str]) -> str:
        solution = self._personalize.create_solution(
            name=name,
            datasetGroupArn=group,
            recipeArn=f"arn:aws:personalize:::recipe/{recipe}",
            solutionConfig={"algorithmHyperParameters": hyperparameters} if hyperparameters else {},
        )["solutionArn"]
        arn: str = self._personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
        self._wait_until_active(self._personalize.describe_solution_version, solutionVersionArn=arn)
        return arn

    def _batch(
        self, name: str, version: str, users: list[str], results: int
    ) -> Iterator[tuple[str, list[str]]]:
        lines = "".join(json.dumps({"userId": user}) + "\n" for user in users)
        self._s3.put_object(Bucket=_BUCKET, Key=f"{name}/users.json", Body=lines.encode())
        job = self._personalize.create_batch_inference_job(
            jobName=name,
            solutionVersionArn=version,
            numResults=results,
            jobInput={"s3DataSource": {"path": f"s3://{_BUCKET}/{name}/users.json"}},
            jobOutput={"s3DataDestination": {"path": f"s3://{_BUCKET}/{name}/lists/"}},
            roleArn=_ROLE,
        )["batchInferenceJobArn"]
        self._wait_until_active(self._personalize.describe_batch_inference_job, batchInferenceJobArn=job)
        output = self._s3.get_object(Bucket=_BUCKET, Key=f"{name}/lists/users.json.out")["Body"]
        for line in output.iter_lines():
            answer = json.loads(line)
            yield answer["input"]["userId"], answer["output"]["recommendedItems"]

    def _wait_until_active(self, describe: Callable[..., Any], **arn: str) -> None:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            [resource] = [value for name, value in describe(**arn).items() if name != "ResponseMetadata"]
            if resource["status"] == "ACTIVE":
                return
            if resource["status"] == "CREATE FAILED":
                raise RuntimeError(f"{next(iter(arn.values()))} failed: {resource['failureReason']}")
            time.sleep(0.5)
        raise RuntimeError(f"{next(iter(arn.values()))} was not ACTIVE after {_TIMEOUT_SECONDS} s")


def _field(column: pa.Field[Any]) -> dict[str, Any]:
    """Return the schema's field of a column; attributes of items may be null, and texts are categorical."""
    kind = _TYPES[column.type]
    if column.name in _REQUIRED:
        return {"name": column.name, "type": kind}
    field = {"name": column.name, "type": ["null", kind]}
    return field | {"categorical": True} if kind == "string" else field


def _client(service: str, endpoint: str, environment: Mapping[str, str]) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint,
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )
