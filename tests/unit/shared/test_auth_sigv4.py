"""Verification of SigV4 against botocore, which signs for every AWS SDK of Python."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth import AuthError
from shared.auth.sigv4 import claim, verify
from tests.support.signing import BODY, SECRET, signed


def check(
    path: str,
    query: str,
    headers: list[tuple[bytes, bytes]],
    *,
    body: bytes = BODY,
    secret: str = SECRET,
    now: datetime | None = None,
) -> None:
    authorization = dict(headers)[b"authorization"].decode()
    verify(
        claim(authorization),
        secret,
        method="POST",
        path=path,
        query=query,
        headers=headers,
        body=body,
        now=now or datetime.now(UTC),
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8001/events",
        "http://personalize.example/",
        "http://personalize.example",
        "https://personalize.example/prefix/recommendations",
        "http://personalize.example/a%20b/%C3%BC//c/../d/",
        "http://personalize.example/x?b=2&a=1&a=0&empty=&flag",
        "http://personalize.example/x?q=a%2Bb%20c",
    ],
)
def test_what_botocore_signed_is_accepted(url: str) -> None:
    check(*signed(url))


@given(st.binary(max_size=300), st.text("abc;=/ ~%äöü-_.0", max_size=20))
def test_any_body_and_header_that_botocore_signed_is_accepted(body: bytes, value: str) -> None:
    check(*signed(body=body, headers={"X-Amz-Target": f"t{value}t"}), body=body)


def test_the_target_of_the_control_plane_is_covered_by_the_signature() -> None:
    path, query, headers = signed("http://x/", headers={"X-Amz-Target": "AmazonPersonalize.ListRecipes"})
    changed = [
        (name, b"AmazonPersonalize.DeleteSchema" if name == b"x-amz-target" else value)
        for name, value in headers
    ]

    with pytest.raises(AuthError) as refused:
        check(path, query, changed)

    assert refused.value.aws_code == "InvalidSignatureException"


def test_an_unsigned_target_is_refused() -> None:
    path, query, headers = signed("http://x/")

    with pytest.raises(AuthError, match="x-amz-target"):
        check(path, query, [*headers, (b"x-amz-target", b"AmazonPersonalize.DeleteSchema")])


@pytest.mark.parametrize("change", ["body", "secret", "path", "query", "host"])
def test_a_changed_request_is_refused(change: str) -> None:
    path, query, headers = signed("http://shop.example/events?a=1")
    arguments = {"body": BODY, "secret": SECRET}
    match change:
        case "body":
            arguments["body"] = BODY + b" "
        case "secret":
            arguments["secret"] = "another"
        case "path":
            path = "/items"
        case "query":
            query = "a=2"
        case _:
            headers = [(n, b"evil.example" if n == b"host" else v) for n, v in headers]

    with pytest.raises(AuthError) as refused:
        check(path, query, headers, **arguments)

    assert (refused.value.status, refused.value.aws_code) == (401, "InvalidSignatureException")


def test_the_clock_may_differ_by_fifteen_minutes_and_no_more() -> None:
    request = signed()
    now = datetime.now(UTC)

    check(*request, now=now + timedelta(minutes=14))
    check(*request, now=now - timedelta(minutes=14))
    for away in (timedelta(minutes=16), timedelta(minutes=-16)):
        with pytest.raises(AuthError) as refused:
            check(*request, now=now + away)
        assert refused.value.aws_code == "InvalidSignatureException"


def test_a_signature_for_another_service_is_refused() -> None:
    with pytest.raises(AuthError, match="scoped to s3"):
        check(*signed(service="s3"))


def test_runs_of_blanks_in_a_signed_header_count_as_one() -> None:
    path, query, headers = signed(headers={"X-Amz-Target": "a   b"})
    sent = [(n, b"  a b " if n == b"x-amz-target" else v) for n, v in headers]

    check(path, query, sent)


@pytest.mark.parametrize("header", ["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b", "AWS4-X a"])
def test_an_incomplete_header_is_named(header: str) -> None:
    with pytest.raises(AuthError) as refused:
        claim(header)

    assert refused.value.aws_code == "IncompleteSignatureException"
