"""Policies of buckets: the S3 server gets the part without services of AWS."""

from __future__ import annotations

import json

import pytest

from services.engine.domain.bucket_policies import MalformedPolicyError, enforceable, names_services

SERVICE = {"Effect": "Allow", "Principal": {"Service": "personalize.amazonaws.com"}, "Action": "s3:GetObject"}
USER = {"Effect": "Allow", "Principal": {"AWS": ["AKIA"]}, "Action": "s3:GetObject"}


def policy(*statements: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_of_a_policy_for_services_alone_nothing_remains() -> None:
    assert enforceable(policy(SERVICE)) is None
    assert enforceable(json.dumps({"Statement": SERVICE})) is None
    assert names_services(policy(SERVICE))


def test_what_is_for_users_remains() -> None:
    both = {**SERVICE, "Principal": {**SERVICE["Principal"], **USER["Principal"]}}  # type: ignore[dict-item]

    assert json.loads(enforceable(policy(SERVICE, USER)) or "")["Statement"] == [USER]
    assert json.loads(enforceable(policy(both)) or "")["Statement"] == [USER]
    assert json.loads(enforceable(policy({**USER, "Principal": "*"})) or "")["Version"] == "2012-10-17"
    assert not names_services(policy(USER))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Statement": []}', '{"Statement": [1]}', "[" * 100_000])
def test_what_is_no_policy_is_malformed(text: str) -> None:
    with pytest.raises(MalformedPolicyError):
        enforceable(text)
