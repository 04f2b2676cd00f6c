"""The Query protocol: forms to structures, structures to XML."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest

from shared.aws import WireError
from shared.aws.query import encode_answer, encode_query_error, parse_form

NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


def test_lists_of_structures_are_in_the_order_of_their_numbers() -> None:
    form = {
        "Action": "CreateRole",
        "Tags.member.10.Key": "last",
        "Tags.member.1.Key": "a",
        "Tags.member.1.Value": "x y",
        "Tags.member.2.Key": "b",
    }

    assert parse_form(urlencode(form).encode()) == {
        "Action": "CreateRole",
        "Tags": [{"Key": "a", "Value": "x y"}, {"Key": "b"}, {"Key": "last"}],
    }


@pytest.mark.parametrize(
    "body",
    [
        b"no form",
        b"Action=x&Action.y=1",
        b"Action=" + b"\xff",
        b".".join([b"a"] * 20) + b"=1",
        b"&".join(b"a%d=1" % number for number in range(1_001)),
    ],
)
def test_a_body_that_is_no_form_is_a_validation_error(body: bytes) -> None:
    with pytest.raises(WireError) as refused:
        parse_form(body)

    assert refused.value.code == "ValidationError"


def test_an_answer_has_members_lists_times_and_no_markup_of_values() -> None:
    reply = {
        "Role": {"RoleName": "<&>\x00", "CreateDate": datetime(2026, 11, 29, 20, tzinfo=UTC), "Path": None},
        "PolicyNames": ["a", "b"],
        "IsTruncated": False,
    }

    root = ET.fromstring(encode_answer("GetRole", NAMESPACE, reply, "r-1"))

    space = f"{{{NAMESPACE}}}"
    result = root.find(f"{space}GetRoleResult")
    assert root.tag == f"{space}GetRoleResponse"
    assert result is not None
    assert result.findtext(f"{space}Role/{space}RoleName") == "<&>"
    assert result.findtext(f"{space}Role/{space}CreateDate") == "2026-11-29T20:00:00Z"
    assert result.find(f"{space}Role/{space}Path") is None
    assert [each.text for each in result.findall(f"{space}PolicyNames/{space}member")] == ["a", "b"]
    assert result.findtext(f"{space}IsTruncated") == "false"
    assert root.findtext(f"{space}ResponseMetadata/{space}RequestId") == "r-1"


@pytest.mark.parametrize(
    ("code", "status", "wire_code", "sender"),
    [
        ("NoSuchEntity", 404, "NoSuchEntity", "Sender"),
        ("UnrecognizedClientException", 403, "InvalidClientTokenId", "Sender"),
        ("InvalidInputException", 400, "ValidationError", "Sender"),
        ("ServiceUnavailable", 503, "ServiceUnavailable", "Receiver"),
    ],
)
def test_an_error_has_the_code_and_status_of_this_protocol(
    code: str, status: int, wire_code: str, sender: str
) -> None:
    answered, body = encode_query_error(WireError(code, "why"), NAMESPACE, "r-1")

    assert answered == status
    assert f"<Code>{wire_code}</Code>".encode() in body
    assert f"<Type>{sender}</Type>".encode() in body
