"""The requests of IAM, and the documents and ids in its answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.engine.identity import documents
from services.engine.identity.members import AttachmentRequest, CreateRole, CreateServiceLinkedRole
from services.engine.identity.operations import IAM
from shared.aws import WireError
from shared.aws.protocols import validated

ARN = "arn:aws:iam::aws:policy/service-role/Personalize"


@pytest.mark.parametrize("operation", IAM)
def test_every_request_is_checked(operation: str) -> None:
    request, _ = IAM[operation]
    if operation in {"ListRoles", "ListPolicies"}:
        assert validated(request, {"MaxItems": "5"}).model_dump()["max_items"] == 5
        return
    with pytest.raises(WireError, match="Field required"):
        validated(request, {})


def test_names_and_arns_are_those_of_iam() -> None:
    role = {"RoleName": "a+b=c,d.e@f-g_h", "AssumeRolePolicyDocument": "{}", "Path": "/team/a/"}

    assert validated(CreateRole, role).path == "/team/a/"
    assert validated(CreateServiceLinkedRole, {"AWSServiceName": "x.amazonaws.com"}).custom_suffix == ""
    assert validated(AttachmentRequest, {"RoleName": "r", "PolicyArn": ARN}).policy_arn == ARN


@pytest.mark.parametrize(
    "wrong",
    [
        {"RoleName": "a b"},
        {"RoleName": "ü"},
        {"RoleName": "a\n"},
        {"RoleName": "x" * 65},
        {"Path": "team"},
        {"MaxSessionDuration": "1"},
    ],
)
def test_wrong_members_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(WireError):
        validated(CreateRole, {"RoleName": "r", "AssumeRolePolicyDocument": "{}", **wrong})


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"Statement": 1}', "[" * 100_000])
def test_what_is_no_policy_is_malformed(text: str) -> None:
    with pytest.raises(WireError) as refused:
        documents.check_document(text)

    assert refused.value.code == "MalformedPolicyDocument"


def test_ids_have_the_form_of_iams() -> None:
    created = datetime(2026, 11, 29, tzinfo=UTC)
    first = documents.unique_id("AROA", "arn:aws:iam::1:role/a", created)

    assert len(first) == 21
    assert first.startswith("AROA")
    assert first.isalnum()
    assert first != documents.unique_id("AROA", "arn:aws:iam::1:role/b", created)


def test_a_page_has_a_marker_only_if_more_follows() -> None:
    entries = [{"RoleName": name} for name in "abc"]

    assert documents.page_of("Roles", entries, ["a", "b", "c"], 2) == {
        "Roles": entries[:2],
        "IsTruncated": True,
        "Marker": "b",
    }
    assert documents.page_of("Roles", entries, ["a", "b", "c"], 3)["Marker"] is None
