"""Jobs of a key pair that is not the object store's own: grants, the tenant's keys, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.component.engine.conftest import ROLE, Engine
from tests.support.engine import call
from tests.support.processes import Process

NAME = "bucketed"
SCHEMA = {
    "type": "record",
    "name": "Items",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [{"name": "ITEM_ID", "type": "string"}, {"name": "CATEGORY", "type": "string"}],
}


def buckets(engine: Engine, *words: str, secret: str = "") -> None:
    """Run the operator's command."""
    done = call("buckets", *words, environment=engine.environment, stdin=secret)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def stranger(engine: Engine) -> Any:
    """boto3's client with another key pair of the same account."""
    made = call("keys", "create", "aws", environment=engine.environment)
    assert made.returncode == 0, made.stderr
    pair = dict(line.split("=", 1) for line in made.stdout.split())
    return boto3.client(
        "personalize",
        aws_access_key_id=pair["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=pair["AWS_SECRET_ACCESS_KEY"],
    )


def test_a_tenants_jobs_use_what_was_allowed_with_the_tenants_keys(
    engine: Engine, worker: Process, stranger: Any
) -> None:
    group = stranger.create_dataset_group(name=NAME)["datasetGroupArn"]
    schema = stranger.create_schema(name=NAME, schema=json.dumps(SCHEMA))["schemaArn"]
    dataset = stranger.create_dataset(
        name=NAME, schemaArn=schema, datasetGroupArn=group, datasetType="Items"
    )["datasetArn"]
    location = engine.put(f"{NAME}/items.csv", "ITEM_ID,CATEGORY\na,b\n")

    def imported(name: str, uri: str = location) -> dict[str, Any]:
        job = stranger.create_dataset_import_job(
            jobName=f"{NAME}-{name}", datasetArn=dataset, dataSource={"dataLocation": uri}, roleArn=ROLE
        )
        arn = job["datasetImportJobArn"]
        return engine.finished(stranger.describe_dataset_import_job, datasetImportJobArn=arn)

    for refused in (location, f"s3://{engine.bucket}", "s3://endcap-data/default/", "s3://endcap-uploads"):
        with pytest.raises(stranger.exceptions.InvalidInputException, match="Invalid Data location"):
            imported("refused", refused)
    engine.s3.put_object(Bucket="endcap-uploads", Key=f"{NAME}/own.csv", Body=b"ITEM_ID,CATEGORY\na,b\n")
    assert imported("own", f"s3://endcap-uploads/{NAME}/own.csv")["status"] == "ACTIVE"

    buckets(engine, "allow", "--tenant", NAME, f"s3://{engine.bucket}/{NAME}/")
    assert imported("allowed")["status"] == "ACTIVE"
    with pytest.raises(ClientError, match="Insufficient privileges"):
        imported("beside", f"s3://{engine.bucket}/{NAME}-2/items.csv")

    buckets(engine, "keys", "--tenant", NAME, "NOBODY", secret="wrong\n")
    failed = imported("wrong-keys")
    assert failed["status"] == "CREATE FAILED"
    assert failed["failureReason"].startswith("Invalid Data location.")
    own = engine.environment
    secret = f"{own['AWS_SECRET_ACCESS_KEY']}\n"
    buckets(engine, "keys", "--tenant", NAME, own["AWS_ACCESS_KEY_ID"], secret=secret)
    assert imported("own-keys")["status"] == "ACTIVE"
