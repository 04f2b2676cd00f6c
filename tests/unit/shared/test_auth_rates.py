"""Rate limits of a key, and of all keys of a tenant together."""

from __future__ import annotations

from typing import Any, cast

import pytest

from shared.auth import Authenticator, AuthError, Principal
from shared.auth.rates import RateLimits
from shared.errors import ApiError
from shared.settings import AuthSettings

SETTINGS = AuthSettings(
    endcap_ingest_calls_per_second=2,
    endcap_read_calls_per_second=0,
    endcap_admin_calls_per_second=1,
    endcap_catalogue_calls_per_second=1,
    endcap_burst_seconds=1,
    endcap_tenant_rate_factor=2,
)
SCOPES = frozenset({"ingest", "read", "catalogue", "admin"})


def caller(credential: str, tenant: str | None = "shop", account: str | None = None) -> Principal:
    return Principal(tenant, account, SCOPES, "key", credential)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> RateLimits:
    return RateLimits(SETTINGS, clock)


def test_a_key_has_calls_of_each_kind_and_more_a_second_later(limits: RateLimits, clock: Clock) -> None:
    waits = [limits.wait_seconds(caller("a"), "ingest") for _ in range(3)]
    clock.now = 0.5

    assert waits == [0.0, 0.0, 0.5]
    assert limits.wait_seconds(caller("a"), "ingest") == 0.0
    assert limits.wait_seconds(caller("a"), "admin") == 0.0


def test_many_keys_of_a_tenant_share_what_it_has(limits: RateLimits) -> None:
    waits = [limits.wait_seconds(caller(f"key {n}"), "ingest") for n in range(5)]

    assert [bool(wait) for wait in waits] == [False, False, False, False, True]
    assert limits.wait_seconds(caller("key 9", tenant="another"), "ingest") == 0.0


def test_key_pairs_share_what_their_account_has(limits: RateLimits) -> None:
    pairs = [caller(f"pair {n}", tenant=None, account="000000000001") for n in range(3)]

    assert [bool(limits.wait_seconds(pair, "admin")) for pair in pairs] == [False, False, True]


def test_no_limit_and_services_are_never_refused(limits: RateLimits) -> None:
    service = Principal("shop", None, SCOPES, "service")

    assert not any(limits.wait_seconds(caller("a"), "read") for _ in range(1_000))
    assert not any(limits.wait_seconds(service, "admin") for _ in range(1_000))


def test_a_refusal_says_what_is_allowed_and_when_to_come_back(limits: RateLimits) -> None:
    limits.check(caller("a"), "admin")

    with pytest.raises(ApiError, match="one key may make 1 calls of this kind a second") as caught:
        limits.check(caller("a"), "admin")

    assert (caught.value.status, caught.value.retry_after) == (429, 1)


def test_a_call_without_the_scope_is_refused_before_it_is_counted() -> None:
    authenticator = Authenticator(cast("Any", None), SETTINGS)
    reader = Principal("shop", None, frozenset({"read"}), "key", "a")

    with pytest.raises(AuthError):
        authenticator.admit(reader, "ingest")
    assert not authenticator.admits(reader, "ingest")
    assert authenticator.admits(caller("a"), "ingest")
    assert authenticator.admit(caller("a"), "ingest") == caller("a")
    assert not authenticator.admits(caller("a"), "ingest")
