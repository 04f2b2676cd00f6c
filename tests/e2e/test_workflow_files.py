"""A manual's lines that put a file into a bucket and start the workflow with it, run by the `aws` command."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import pytest

from deploy.local.components.s3 import account_name
from tests.support.processes import base_environment
from tests.support.product import Endcap
from tests.support.waiting import PATIENCE, until

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:prod-ml-workflow"
DATASET = "arn:aws:personalize:us-east-1:123456789012:dataset/default"
USERS, ITEMS = 12, 8


@dataclass(frozen=True)
class Lines:
    """Lines of the `aws` command, whose only address is the gateway."""

    endcap: Endcap
    command: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        names = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        environment = {name: self.endcap.environment[name] for name in names}
        environment |= {"AWS_DEFAULT_REGION": environment["AWS_REGION"], "NO_PROXY": "127.0.0.1"}
        return subprocess.run(
            [str(self.command / "aws"), *words, "--output", "json"],
            env={**base_environment(), **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def answer(self, *words: str) -> dict[str, Any]:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout)) if done.stdout.startswith("{") else {}

    def start(self, location: str, kind: str) -> subprocess.CompletedProcess[str]:
        text = json.dumps(
            {
                "datasetGroupArn": "",
                "datasetArn": f"{DATASET}/datasets/{kind}",
                "dataLocation": location,
                "jobName": "manual",
            }
        )
        return self.run("stepfunctions", "start-execution", "--state-machine-arn", MACHINE, "--input", text)

    def ended(self, started: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        """Return the description of an execution when it has ended."""
        assert started.returncode == 0, started.stderr
        arn = json.loads(started.stdout)["executionArn"]
        return until(
            lambda: self.answer("stepfunctions", "describe-execution", "--execution-arn", arn),
            "the execution has ended",
            enough=lambda described: described["status"] != "RUNNING",
            every=0.5,
        )


@pytest.fixture
def lines(endcap: Endcap, aws_command: Path) -> Lines:
    return Lines(endcap, aws_command)


@pytest.fixture
def lake(endcap: Endcap, lines: Lines) -> str:
    """A bucket that the shop created, which sync's account may read and an operator allows the shop."""
    name = f"lake-{uuid.uuid4().hex[:8]}"
    lines.answer("s3", "mb", f"s3://{name}")
    owner, sync = endcap.environment["AWS_ACCESS_KEY_ID"], account_name("sync")
    # The store asks the policy about the owner, too.
    rights = [
        (owner, "s3:*", name),
        (owner, "s3:*", f"{name}/*"),
        (sync, "s3:ListBucket", name),
        (sync, "s3:GetObject", f"{name}/*"),
    ]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [account]},
                "Action": [action],
                "Resource": [f"arn:aws:s3:::{resource}"],
            }
            for account, action, resource in rights
        ],
    }
    lines.answer("s3api", "put-bucket-policy", "--bucket", name, "--policy", json.dumps(policy))
    words = ["buckets", "allow", "--tenant", "default", f"s3://{name}/", "--read-only"]
    allowed = subprocess.run(
        [sys.executable, "-m", "services.engine", *words],
        env=endcap.stack.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert allowed.returncode == 0, allowed.stderr
    return name


def rows_of(endcap: Endcap, query: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the rows of a query."""

    async def rows() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(endcap.environment["DATABASE_URL"])
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    return asyncio.run(rows())


def runs_of(endcap: Endcap, import_id: str) -> list[dict[str, Any]]:
    """Return the runs that wait, or have waited, for an import."""
    return rows_of(endcap, "SELECT run, reasons FROM trainer.runs WHERE $1 = ANY (imports)", import_id)


@contextmanager
def worker_killed_while_it_waits(endcap: Endcap) -> Iterator[None]:
    """Kill the trainer's worker when a run waits for an import, which sync reads after that."""
    endcap.stop("sync-worker")
    try:
        yield
        waiting = (
            "SELECT run FROM trainer.runs JOIN trainer.executions USING (run) "
            "WHERE status = 'running' AND import_id IS NOT NULL"
        )
        until(lambda: rows_of(endcap, waiting), "a run waits for an import")
        endcap.kill_and_wait("trainer-worker")
    finally:
        endcap.start("sync-worker")


def snapshot(endcap: Endcap, key: str) -> set[str]:
    """Return the rows of a file of a run's snapshot, without the quotes and the last column."""
    environment = endcap.stack.environment
    s3 = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["TRAINER_AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["TRAINER_AWS_SECRET_ACCESS_KEY"],
    )
    text = s3.get_object(Bucket="endcap-data", Key=key)["Body"].read().decode()
    return {",".join(row[:-1]) for row in csv.reader(text.splitlines())}


def test_the_workflow_trains_with_the_file_that_its_input_names(
    endcap: Endcap, lines: Lines, lake: str, tmp_path: Path
) -> None:
    mark, file = uuid.uuid4().hex[:8], tmp_path / "interactions.csv"
    rows = [
        f"{mark}-{user},i-{mark}-{(user + item) % ITEMS},{1_790_000_000 + user * ITEMS + item},view"
        for user in range(USERS)
        for item in range(ITEMS // 2)
    ]
    file.write_text("\n".join(["USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE", *rows]))
    lines.answer("s3", "cp", str(file), f"s3://{lake}/seed/{file.name}")

    with worker_killed_while_it_waits(endcap):
        started = lines.start(f"s3://{lake}/seed/{file.name}", "interactions")
    described = lines.ended(started)

    assert described["status"] == "SUCCEEDED", described
    output = json.loads(described["output"])
    history = lines.answer(
        "stepfunctions", "get-execution-history", "--execution-arn", described["executionArn"]
    )["events"]
    details = {
        event["stateExitedEventDetails"]["name"]: json.loads(event["stateExitedEventDetails"]["output"])
        for event in history
        if event["type"] == "TaskStateExited"
    }
    ((import_id, status),) = details["wait"]["imports"].items()
    assert status == "done"
    trained = snapshot(endcap, details["snapshot"]["files"]["interactions"]["key"])
    assert set(rows) <= trained
    # The import has asked for a training itself: that is the same run.
    until(lambda: "import" in runs_of(endcap, import_id)[0]["reasons"] or None, "the import's request came")
    assert [run["run"] for run in runs_of(endcap, import_id)] == [output["run"]]


def test_an_object_that_does_not_exist_is_refused_by_name(lines: Lines, lake: str) -> None:
    refused = lines.start(f"s3://{lake}/seed/none.csv", "interactions")

    assert refused.returncode != 0
    assert "InvalidExecutionInput" in refused.stderr
    assert f"There is no object s3://{lake}/seed/none.csv" in refused.stderr


def test_a_file_with_other_columns_fails_the_execution_with_the_reason(
    lines: Lines, lake: str, tmp_path: Path
) -> None:
    file = tmp_path / "items.csv"
    file.write_text("colour,size\nred,small\n")
    lines.answer("s3", "cp", str(file), f"s3://{lake}/{file.name}")

    described = lines.ended(lines.start(f"s3://{lake}/{file.name}", "items"))

    assert (described["status"], described["error"]) == ("FAILED", "import")
    assert "items.csv" in described["cause"]
    assert "item_id" in described["cause"]
