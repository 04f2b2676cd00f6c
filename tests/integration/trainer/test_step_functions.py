"""Step Functions, CloudWatch Logs and CloudWatch of the trainer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from services.trainer.domain import STEPS
from tests.integration.trainer.conftest import Trainer
from tests.support.tenants import Tenant

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:production-ml-workflow"


class Aws:
    """Calls operations of AWS with a tenant's key."""

    def __init__(self, client: httpx.AsyncClient, owner: Tenant) -> None:
        self._client, self._key = client, owner.admin

    async def call(self, target: str, **body: Any) -> dict[str, Any]:
        """Return the answer of an operation, which must succeed."""
        answer = await self._send(target, body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refusal(self, target: str, **body: Any) -> tuple[str, str]:
        """Return the code and message of the error that an operation answers."""
        answer = await self._send(target, body)
        assert answer.status_code == 400, answer.text
        return answer.json()["__type"], answer.json()["message"]

    async def _send(self, target: str, body: dict[str, Any]) -> httpx.Response:
        headers = {"x-amz-target": target, "x-api-key": self._key}
        return await self._client.post("/", json=body, headers=headers)


@pytest.fixture
def aws(http: httpx.AsyncClient, tenant: Tenant) -> Aws:
    return Aws(http, tenant)


STATES = "AWSStepFunctions."


async def test_an_execution_follows_its_run(aws: Aws, trainer: Trainer) -> None:
    text = json.dumps({"datasetGroupArn": "", "jobName": "nightly"})
    started = await aws.call(f"{STATES}StartExecution", stateMachineArn=MACHINE, input=text)
    arn = started["executionArn"]
    again = await aws.call(
        f"{STATES}StartExecution", stateMachineArn=MACHINE, input=text, name=arn.rpartition(":")[2]
    )
    (listed,) = (await aws.call(f"{STATES}ListExecutions", stateMachineArn=MACHINE))["executions"]
    assert again["executionArn"] == listed["executionArn"] == arn
    assert (listed["status"], listed["stateMachineArn"].split(":")[-1]) == (
        "RUNNING",
        "production-ml-workflow",
    )

    (row,) = await trainer.administrator.fetch("SELECT run FROM trainer.runs")
    run = await trainer.runs.start(row["run"])
    await trainer.runs.start_step(run.run, "wait")
    await trainer.runs.end_step(run.run, "wait", "skipped")
    await trainer.runs.start_step(run.run, "snapshot")
    await trainer.runs.fail(run.run, "there are no interactions", "e1", run.created_at)

    described = await aws.call(f"{STATES}DescribeExecution", executionArn=arn)
    assert (described["status"], described["error"], described["cause"], described["input"]) == (
        "FAILED",
        "snapshot",
        "there are no interactions",
        text,
    )
    failed = await aws.call(f"{STATES}ListExecutions", stateMachineArn=MACHINE, statusFilter="FAILED")
    assert [each["executionArn"] for each in failed["executions"]] == [arn]
    events = (await aws.call(f"{STATES}GetExecutionHistory", executionArn=arn))["events"]
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskStateExited",
        "TaskStateEntered",
        "TaskFailed",
        "ExecutionFailed",
    ]
    taken = await aws.refusal(f"{STATES}StartExecution", stateMachineArn=MACHINE, name=arn.rpartition(":")[2])
    assert taken[0] == "ExecutionAlreadyExists"


async def test_a_run_that_was_asked_for_otherwise_is_an_execution(
    aws: Aws, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    run = (await http.post("/v1/runs", headers={"x-api-key": tenant.admin})).json()["run"]
    joined = await aws.call(f"{STATES}StartExecution", stateMachineArn=MACHINE, name="mine")

    first = await aws.call(f"{STATES}ListExecutions", stateMachineArn=MACHINE, maxResults=1)
    second = await aws.call(
        f"{STATES}ListExecutions", stateMachineArn=MACHINE, maxResults=1, nextToken=first["nextToken"]
    )

    names = [page["executions"][0]["name"] for page in (first, second)]
    assert names == ["mine", f"run-{run}"]
    assert "nextToken" not in second
    await aws.call(f"{STATES}StopExecution", executionArn=joined["executionArn"], cause="not now")
    shown = (await http.get(f"/v1/runs/{run}", headers={"x-api-key": tenant.read})).json()
    assert shown["status"] == "queued"  # the other request still waits for it
    stopped = await aws.call(f"{STATES}DescribeExecution", executionArn=joined["executionArn"])
    assert (stopped["status"], stopped["cause"]) == ("ABORTED", "not now")


async def test_a_stopped_execution_cancels_its_run_and_the_next_one_starts(
    aws: Aws, http: httpx.AsyncClient, trainer: Trainer, tenant: Tenant
) -> None:
    started = await aws.call(f"{STATES}StartExecution", stateMachineArn=MACHINE)
    (row,) = await trainer.administrator.fetch("SELECT run FROM trainer.runs")
    await trainer.runs.start(row["run"])
    following = (await http.post("/v1/runs", headers={"x-api-key": tenant.admin})).json()["run"]

    first = await aws.call(f"{STATES}StopExecution", executionArn=started["executionArn"])
    second = await aws.call(f"{STATES}StopExecution", executionArn=started["executionArn"])

    assert first == second
    shown = (await http.get(f"/v1/runs/{row['run']}", headers={"x-api-key": tenant.read})).json()
    assert (shown["status"], "was stopped" in shown["error"]) == ("cancelled", True)
    queued = await trainer.administrator.fetch("SELECT key FROM trainer.jobs ORDER BY id")
    assert [job["key"] for job in queued] == [str(row["run"]), str(following)]
    sent = await trainer.administrator.fetchval("SELECT payload->>'reason' FROM trainer.outbox")
    assert "cancelled" in sent


async def test_a_run_is_cancelled_once_and_not_after_its_end(
    http: httpx.AsyncClient, trainer: Trainer, tenant: Tenant
) -> None:
    admin = {"x-api-key": tenant.admin}
    run = (await http.post("/v1/runs", headers=admin)).json()["run"]
    cancelled = [await http.post(f"/v1/runs/{run}/cancel", headers=admin, json={}) for _ in range(2)]
    later = (await http.post("/v1/runs", headers=admin)).json()["run"]
    await trainer.runs.start(later)
    await trainer.runs.fail(later, "nothing to train", "e2", (await trainer.runs.start(later)).created_at)

    ended = await http.post(f"/v1/runs/{later}/cancel", headers=admin)
    unknown = await http.post("/v1/runs/999999/cancel", headers=admin)

    assert [(each.status_code, each.json()["status"]) for each in cancelled] == [(200, "cancelled")] * 2
    assert (ended.status_code, ended.json()["error"], unknown.status_code) == (409, "RunEnded", 404)


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("StartExecution", {"stateMachineArn": "x"}, "InvalidArn"),
        ("StartExecution", {"stateMachineArn": MACHINE.replace("ml-", "")}, "StateMachineDoesNotExist"),
        ("StartExecution", {"stateMachineArn": MACHINE, "input": "[1"}, "InvalidExecutionInput"),
        ("StartExecution", {"stateMachineArn": MACHINE, "name": "a b"}, "InvalidName"),
        (
            "StartExecution",
            {
                "stateMachineArn": MACHINE,
                "input": '{"datasetGroupArn": "arn:aws:personalize:a:b:dataset-group/none"}',
            },
            "InvalidExecutionInput",
        ),
        ("StartSyncExecution", {"stateMachineArn": MACHINE}, "StateMachineTypeNotSupported"),
        ("ListExecutions", {"stateMachineArn": MACHINE, "nextToken": "x"}, "InvalidToken"),
        ("ListExecutions", {"stateMachineArn": MACHINE, "maxResults": 1001}, "ValidationException"),
        (
            "DescribeExecution",
            {"executionArn": MACHINE.replace("stateMachine", "execution") + ":none"},
            "ExecutionDoesNotExist",
        ),
        ("CreateActivity", {}, "UnknownOperationException"),
    ],
)
async def test_what_can_not_be_done_is_said_in_the_words_of_step_functions(
    aws: Aws, operation: str, body: dict[str, Any], code: str
) -> None:
    assert (await aws.refusal(f"{STATES}{operation}", **body))[0] == code


async def test_the_machine_is_defined_by_the_steps_of_a_run(aws: Aws) -> None:
    (machine,) = (await aws.call(f"{STATES}ListStateMachines"))["stateMachines"]
    described = await aws.call(f"{STATES}DescribeStateMachine", stateMachineArn=machine["stateMachineArn"])

    assert list(json.loads(described["definition"])["States"]) == list(STEPS)


async def test_the_log_has_what_happened_to_runs(
    aws: Aws, http: httpx.AsyncClient, trainer: Trainer, tenant: Tenant
) -> None:
    admin = {"x-api-key": tenant.admin}
    run = (await http.post("/v1/runs", headers=admin, json={"reason": "new prices"})).json()["run"]
    started = await trainer.runs.start(run)
    await trainer.runs.start_step(run, "snapshot")
    await trainer.runs.fail(run, "the bucket is gone", "e3", started.created_at)
    group = {"logGroupName": "/aws/stepfunctions/ml-workflow"}

    streams = (await aws.call("Logs_20140328.DescribeLogStreams", **group))["logStreams"]
    errors = await aws.call("Logs_20140328.FilterLogEvents", **group, filterPattern="ERROR")
    first = await aws.call("Logs_20140328.FilterLogEvents", **group, limit=1)
    second = await aws.call("Logs_20140328.FilterLogEvents", **group, limit=100, nextToken=first["nextToken"])
    quoted = await aws.refusal("Logs_20140328.FilterLogEvents", **group, filterPattern='"a')

    assert [stream["logStreamName"] for stream in streams] == ["trainer"]
    assert {event["message"] for event in errors["events"]} >= {f"ERROR run {run} failed: the bucket is gone"}
    assert first["events"][0]["message"] == f"INFO run {run} requested: new prices"
    assert len(second["events"]) == 3
    assert quoted[0] == "InvalidParameterException"


@pytest.mark.parametrize("operation", ["PutMetricAlarm", "DescribeAlarms", "PutDashboard"])
async def test_cloudwatch_names_the_files_of_rules(aws: Aws, operation: str) -> None:
    code, message = await aws.refusal(f"GraniteServiceVersion20100801.{operation}", AlarmName="x")

    assert code == "UnsupportedOperationException"
    assert "deploy/prometheus/alerts.yml" in message
