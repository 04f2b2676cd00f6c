"""Unmodified AWS SDKs and the `aws` command with the gateway as their one address."""

from __future__ import annotations

import io
import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.analysis_queries import PURCHASES
from tests.support.processes import base_environment
from tests.support.product import Endcap
from tests.support.waiting import PATIENCE, until

MEBIBYTE = 2**20


@pytest.mark.parametrize("key", ["a/b.csv", "a//b", "a b+c%2F=&ü.csv", "x/./y"])
def test_objects_keep_their_keys_and_metadata(aws: boto3.Session, bucket: str, key: str) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=b"content", Metadata={"under_score": "1", "dash-ed": "2"})

    answer = s3.get_object(Bucket=bucket, Key=key)

    assert answer["Body"].read() == b"content"
    assert answer["Metadata"] == {"under_score": "1", "dash-ed": "2"}


def test_a_large_file_passes_in_parts_and_by_a_presigned_address(aws: boto3.Session, bucket: str) -> None:
    s3, content = aws.client("s3"), os.urandom(20 * MEBIBYTE)
    s3.upload_fileobj(io.BytesIO(content), bucket, "large.bin")
    signing = aws.client("s3", config=Config(signature_version="s3v4"))
    address = signing.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "large.bin"})
    upload = signing.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "put.bin"})

    assert httpx.get(address, timeout=PATIENCE).content == content
    assert httpx.put(upload, content=content, timeout=PATIENCE).status_code == 200
    assert s3.head_object(Bucket=bucket, Key="put.bin")["ContentLength"] == len(content)


def test_the_services_of_personalize_share_the_address(aws: boto3.Session, endcap: Endcap) -> None:
    groups = aws.client("personalize").list_dataset_groups()["datasetGroups"]
    events = aws.client("personalize-events").put_events(
        trackingId=endcap.keys["tracking_id"],
        userId="gateway-user",
        sessionId="gateway",
        eventList=[{"eventType": "view", "itemId": "gateway-item", "sentAt": 1_790_000_000}],
    )
    with pytest.raises(ClientError) as unknown:
        aws.client("personalize-runtime").get_recommendations(
            campaignArn="arn:aws:personalize:us-east-1:000000000000:campaign/none", userId="u"
        )

    assert "default" in {group["name"] for group in groups}
    assert events["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert unknown.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_athena_and_glue_share_the_address(aws: boto3.Session, bucket: str) -> None:
    athena = aws.client("athena")
    identifier = athena.start_query_execution(
        QueryString=PURCHASES,
        QueryExecutionContext={"Database": "ml_platform"},
        ResultConfiguration={"OutputLocation": f"s3://{bucket}/athena/"},
    )["QueryExecutionId"]

    def status() -> dict[str, Any]:
        execution: dict[str, Any] = athena.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]
        return dict(execution["Status"])

    until(status, "the query succeeds", enough=lambda seen: seen["State"] == "SUCCEEDED")
    rows = athena.get_query_results(QueryExecutionId=identifier)["ResultSet"]["Rows"]
    file = aws.client("s3").get_object(Bucket=bucket, Key=f"athena/{identifier}.csv")["Body"].read().decode()
    tables = aws.client("glue").get_tables(DatabaseName="ml_platform")["TableList"]

    assert [cell["VarCharValue"] for cell in rows[0]["Data"]] == ["user_id", "interaction_count"]
    # Guests have no user id: such a cell is empty, in the answer and in the file.
    cells = [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]
    quoted = [",".join("" if cell is None else f'"{cell}"' for cell in row) for row in cells]
    assert file.splitlines() == quoted
    assert "interactions" in {table["Name"] for table in tables}


SERVICE_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "personalize.amazonaws.com"},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
        }
    ],
}


def test_notebooks_prepare_a_bucket_and_a_role(aws: boto3.Session) -> None:
    """The calls of AWS's notebooks for Personalize, in their order."""
    account = aws.client("sts").get_caller_identity()["Account"]
    s3, iam = aws.client("s3"), aws.client("iam")
    name = f"{account}-personalize-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(SERVICE_POLICY))
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(SERVICE_POLICY))["Role"]
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")

    assert json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]) == SERVICE_POLICY
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    assert role["Arn"] == f"arn:aws:iam::{account}:role/{name}"

    s3.delete_bucket_policy(Bucket=name)
    with pytest.raises(ClientError) as none:
        s3.get_bucket_policy(Bucket=name)
    assert none.value.response["Error"]["Code"] == "NoSuchBucketPolicy"
    s3.delete_bucket(Bucket=name)
    with pytest.raises(ClientError) as gone:
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(SERVICE_POLICY))
    assert gone.value.response["Error"]["Code"] == "NoSuchBucket"


def test_calls_about_buckets_need_a_valid_signature(aws: boto3.Session, bucket: str) -> None:
    known = os.environ["AWS_ACCESS_KEY_ID"]
    forged = aws.client("s3", aws_access_key_id=known, aws_secret_access_key="wrong")
    with pytest.raises(ClientError) as refused:
        forged.put_bucket_policy(Bucket=bucket, Policy=json.dumps(SERVICE_POLICY))
    with pytest.raises(ClientError) as malformed:
        aws.client("s3").put_bucket_policy(Bucket=bucket, Policy="no json")
    with pytest.raises(ClientError) as foreign:
        aws.client("s3").get_bucket_policy(Bucket="endcap-data")

    assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    assert malformed.value.response["Error"]["Code"] == "MalformedPolicy"
    assert foreign.value.response["Error"]["Code"] == "AccessDenied"


def run_aws(endcap: Endcap, aws_command: Path, *words: str) -> str:
    """The output of a line of the `aws` command, which must succeed."""
    names = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    environment = {name: endcap.environment[name] for name in names}
    environment |= {"AWS_DEFAULT_REGION": environment["AWS_REGION"], "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [str(aws_command / "aws"), *words, "--output", "json"],
        env={**base_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_aws_command_needs_one_address(endcap: Endcap, aws_command: Path) -> None:
    for words in ("sts get-caller-identity", "iam list-roles", "personalize list-recipes"):
        assert run_aws(endcap, aws_command, *words.split())
    run_aws(endcap, aws_command, "s3", "ls")


def test_a_service_of_aws_that_is_not_here_is_named(aws: boto3.Session) -> None:
    with pytest.raises(ClientError) as refused:
        aws.client("cloudformation").list_stacks()
    with pytest.raises(ClientError) as planned:
        aws.client("pinpoint").get_apps()

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
    assert "Personalize, S3" in planned.value.response["Error"]["Message"]


RECIPES = ("user-personalization", "similar-items", "item-affinity", "bought-together", "popularity")
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:prod-ml-workflow"


def test_the_lines_of_a_manual_about_the_workflow(endcap: Endcap, aws_command: Path, tmp_path: Path) -> None:
    """Start, list and read executions, describe a table, and call the manager: as a manual has them."""

    def aws(*words: str) -> dict[str, Any]:
        return dict(json.loads(run_aws(endcap, aws_command, *words)))

    machine = ("--state-machine-arn", MACHINE)
    text = json.dumps({"datasetGroupArn": "", "jobName": "manual", "solutionName": "s", "campaignName": "c"})
    started = aws("stepfunctions", "start-execution", *machine, "--input", text)
    execution = ("--execution-arn", started["executionArn"])
    failed = aws("stepfunctions", "list-executions", *machine, "--status-filter", "FAILED")
    described = aws("stepfunctions", "describe-execution", *execution)
    history = aws("stepfunctions", "get-execution-history", *execution)
    stopped = aws("stepfunctions", "stop-execution", *execution, "--cause", "enough")
    logs = aws("logs", "filter-log-events", "--log-group-name", "/aws/lambda/x", "--filter-pattern", "run")
    tables = aws("dynamodb", "list-tables")
    payload, out = json.dumps({"action": "list_resources"}), tmp_path / "out.json"
    invoked = aws(
        "lambda", "invoke", "--function-name", "prod-personalize-manager", "--payload", payload, str(out)
    )

    assert all(each["status"] == "FAILED" for each in failed["executions"])
    assert (described["input"], described["executionArn"]) == (text, started["executionArn"])
    assert history["events"][0]["type"] == "ExecutionStarted"
    assert stopped["stopDate"]
    assert logs["events"][0]["logStreamName"] in {"trainer", "engine"}
    assert set(tables["TableNames"]) <= {"recommendations", *RECIPES}
    assert invoked["StatusCode"] == 200
    assert "default" in {group["name"] for group in json.loads(out.read_text())["dataset_groups"]}


def test_sdks_raise_the_exceptions_of_the_services(aws: boto3.Session) -> None:
    states, manager = aws.client("stepfunctions"), aws.client("lambda")
    with pytest.raises(states.exceptions.ExecutionDoesNotExist):
        states.describe_execution(executionArn=MACHINE.replace("stateMachine", "execution") + ":none")
    with pytest.raises(aws.client("dynamodb").exceptions.ResourceNotFoundException):
        aws.client("dynamodb").describe_table(TableName="orders")
    with pytest.raises(ClientError) as alarm:
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName="a",
            EvaluationPeriods=1,
            ComparisonOperator="LessThanThreshold",
            MetricName="m",
            Namespace="n",
            Period=60,
            Threshold=1.0,
            Statistic="Sum",
        )
    with pytest.raises(manager.exceptions.ResourceNotFoundException):
        manager.invoke(FunctionName="thumbnails", Payload=b"{}")
    unknown = manager.invoke(FunctionName="x-personalize-manager", Payload=b'{"action": "dance"}')

    assert "alerts.yml" in alarm.value.response["Error"]["Message"]
    assert unknown["FunctionError"] == "Unhandled"
    assert "create_dataset_group" in json.loads(unknown["Payload"].read())["errorMessage"]
