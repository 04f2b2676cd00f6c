"""Callers without credentials: who may read and ingest, and who is refused and why."""

import pytest

from shared.auth import AuthError, Principal
from tests.unit.shared.authenticators import Rows, authenticator, scope


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
async def test_a_keyless_caller_from_loopback_may_read_and_ingest_if_that_is_set(
    rows: Rows, host: str
) -> None:
    found = await authenticator(rows, keyless=True).of_scope(scope(host))

    assert found == Principal("default", None, frozenset({"ingest", "read"}), "loopback")
    with pytest.raises(AuthError) as refused:
        found.may("admin")
    assert (refused.value.status, refused.value.aws_code) == (403, "AccessDeniedException")


@pytest.mark.parametrize(
    ("keyless", "host", "headers"),
    [
        (False, "127.0.0.1", {}),
        (True, "10.0.0.1", {}),
        (True, None, {}),
        (True, "127.0.0.1", {"authorization": "Digest x"}),
        (True, "127.0.0.1", {"host": "evil.example"}),
        (True, "127.0.0.1", {"origin": "https://evil.example"}),
        (True, "127.0.0.1", {"via": "1.1 proxy"}),
    ],
)
async def test_every_other_keyless_caller_is_refused(
    rows: Rows, *, keyless: bool, host: str | None, headers: dict[str, str]
) -> None:
    callers = authenticator(rows, keyless=keyless)
    assert callers.known(scope(host, **headers)) is None
    with pytest.raises(AuthError) as refused:
        await callers.of_scope(scope(host, **headers))

    assert (refused.value.status, refused.value.aws_code) == (401, "MissingAuthenticationTokenException")


async def test_a_keyless_caller_learns_why_it_is_refused(rows: Rows) -> None:
    with pytest.raises(AuthError, match="Host header is not localhost"):
        await authenticator(rows, keyless=True).of_scope(scope("127.0.0.1", host="evil.example"))
    old = {**scope("127.0.0.1"), "http_version": "1.0"}
    assert authenticator(rows, keyless=True).known(old) is None
    with pytest.raises(AuthError, match=r"HTTP/1\.0"):
        await authenticator(rows, keyless=True).of_scope(old)


async def test_wrong_credentials_from_loopback_are_not_taken_for_none(rows: Rows) -> None:
    with pytest.raises(AuthError):
        await authenticator(rows, keyless=True).of_scope(scope("127.0.0.1", x_api_key="wrong"))
