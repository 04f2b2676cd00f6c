"""IAM and STS as boto3 calls them: accepted, recorded, without effect."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from tests.component.engine.conftest import Engine

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "personalize.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
MANAGED = "arn:aws:iam::aws:policy/service-role/AmazonPersonalizeFullAccess"


@pytest.fixture
def iam(engine: Engine) -> Any:
    return boto3.client("iam", endpoint_url=engine.server.url)


@pytest.fixture
def role(iam: Any) -> str:
    name = f"PersonalizeRole-{uuid.uuid4().hex[:8]}"
    iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=[{"Key": "a", "Value": "b"}]
    )
    return name


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    """Return the code of the error that a call raises."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def test_the_account_is_that_of_the_arns(engine: Engine) -> None:
    sts = boto3.client("sts", endpoint_url=engine.server.url)

    identity = sts.get_caller_identity()

    group = engine.personalize.list_dataset_groups()["datasetGroups"][0]["datasetGroupArn"]
    assert identity["Account"] == group.split(":")[4]
    assert identity["Arn"] == f"arn:aws:iam::{identity['Account']}:user/{identity['UserId']}"
    assert code_of(
        sts.assume_role, RoleArn=f"arn:aws:iam::{identity['Account']}:role/r", RoleSessionName="s1"
    ) == ("AccessDenied")


def test_a_role_goes_through_the_life_that_notebooks_give_it(iam: Any, role: str) -> None:
    iam.attach_role_policy(RoleName=role, PolicyArn=MANAGED)
    iam.put_role_policy(RoleName=role, PolicyName="bucket", PolicyDocument=json.dumps(TRUST))
    described = iam.get_role(RoleName=role)["Role"]

    assert described["AssumeRolePolicyDocument"] == TRUST
    assert described["Arn"].endswith(f":role/{role}")
    assert described["Tags"] == [{"Key": "a", "Value": "b"}]
    assert role in {
        each["RoleName"] for page in iam.get_paginator("list_roles").paginate() for each in page["Roles"]
    }
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == [
        {"PolicyName": "AmazonPersonalizeFullAccess", "PolicyArn": MANAGED}
    ]
    assert iam.get_role_policy(RoleName=role, PolicyName="bucket")["PolicyDocument"] == TRUST
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["bucket"]

    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_role(RoleName=role)
    iam.detach_role_policy(RoleName=role, PolicyArn=MANAGED)
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_role(RoleName=role)
    iam.delete_role_policy(RoleName=role, PolicyName="bucket")
    iam.delete_role(RoleName=role)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName=role)


def test_a_policy_is_attached_by_its_arn(iam: Any, role: str) -> None:
    name = f"policy-{uuid.uuid4().hex[:8]}"
    arn = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(TRUST))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)

    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == TRUST
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_policy(PolicyArn=arn)
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)


def test_wrong_calls_get_the_errors_of_iam(iam: Any, role: str) -> None:
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        iam.create_role(RoleName=f"{role}-2", AssumeRolePolicyDocument="not json")
    assert code_of(iam.create_role, RoleName="a b", AssumeRolePolicyDocument="{}") == "ValidationError"
    assert code_of(iam.detach_role_policy, RoleName=role, PolicyArn=MANAGED) == "NoSuchEntity"
    assert code_of(iam.get_account_summary) == "InvalidAction"


def test_a_service_linked_role_is_made_once(iam: Any) -> None:
    suffix = uuid.uuid4().hex[:8]
    made = iam.create_service_linked_role(AWSServiceName="personalize.amazonaws.com", CustomSuffix=suffix)

    assert made["Role"]["RoleName"] == f"AWSServiceRoleForPersonalize_{suffix}"
    assert made["Role"]["Path"] == "/aws-service-role/personalize.amazonaws.com/"
    with pytest.raises(iam.exceptions.InvalidInputException):
        iam.create_service_linked_role(AWSServiceName="personalize.amazonaws.com", CustomSuffix=suffix)


def test_pages_of_roles_have_a_marker(iam: Any, role: str) -> None:
    iam.create_role(RoleName=f"{role}-more", AssumeRolePolicyDocument=json.dumps(TRUST))

    pages = list(iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1}))

    names = [each["RoleName"] for page in pages for each in page["Roles"]]
    assert all(len(page["Roles"]) == 1 for page in pages)
    assert len(names) == len(set(names))
    assert {role, f"{role}-more"} <= set(names)


def test_a_signature_needs_a_known_key_and_the_right_service(engine: Engine) -> None:
    unknown = boto3.client(
        "iam", endpoint_url=engine.server.url, aws_access_key_id="AKIAUNKNOWN", aws_secret_access_key="x"
    )

    assert code_of(unknown.list_roles) == "InvalidClientTokenId"


def test_a_target_makes_a_form_a_call_of_personalize(engine: Engine) -> None:
    headers = {
        "x-amz-target": "AmazonPersonalize.ListSolutions",
        "content-type": "application/x-www-form-urlencoded",
    }

    answer = httpx.post(engine.server.url, headers=headers, content=b"{}")

    assert answer.status_code >= 400
    assert answer.json()["__type"]
