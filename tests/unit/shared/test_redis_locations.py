"""Addresses of Redis: servers, sentinels and clusters, TLS, and passwords that nobody sees."""

from __future__ import annotations

import pytest

from shared.redis.location import Kind, Location, Tls
from shared.redis.topology import slot_of
from shared.settings import RedisSettings


def located(url: str, ca_file: str | None = None) -> Location:
    return Location.of(RedisSettings(redis_url=url, redis_ca_file=ca_file))


def test_a_server_has_a_database_and_credentials() -> None:
    location = located("redis://shop:p%40ss@cache:6380/3")

    assert (location.kind, location.hosts, location.database) == (Kind.SERVER, (("cache", 6380),), 3)
    assert location.credentials == ("shop", "p@ss")
    assert location.tls is None
    assert "p@ss" not in repr(location)


def test_sentinels_name_a_master_and_have_a_password_of_their_own() -> None:
    location = located(
        "rediss+sentinel://:pass@one:26380,two,[::1]:5/shop/2?sentinel_password=other", "/etc/ca.pem"
    )

    assert location.kind is Kind.SENTINEL
    assert location.hosts == (("one", 26380), ("two", 26379), ("::1", 5))
    assert (location.master, location.database, location.credentials) == ("shop", 2, ("pass",))
    assert location.sentinel_password == "other"
    assert location.tls == Tls("/etc/ca.pem")


def test_a_cluster_has_nodes() -> None:
    location = located("redis+cluster://user:pass@one:7000,two/0")

    assert (location.kind, location.hosts) == (Kind.CLUSTER, (("one", 7000), ("two", 6379)))
    assert location.credentials == ("user", "pass")


def test_the_ca_file_of_the_address_comes_first() -> None:
    location = located("rediss://cache/0?ssl_ca_certs=/own.pem&ssl_cert_reqs=none", "/other.pem")

    assert location.tls == Tls("/own.pem", is_verified=False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+sentinel://:secret@one,two", "the name of the master is missing"),
        ("redis+sentinel://:secret@one/shop/x", "the name of the master is missing"),
        ("redis+sentinel://:secret@/shop", "a host is missing"),
        ("redis+cluster://:secret@one/3", "only the database 0"),
        ("redis+cluster://:secret@one:port", "is not an address"),
        ("redis+cluster://:secret@one?timeout=3", "the parameter timeout is unknown"),
        ("http+cluster://:secret@one", "the scheme http.cluster is unknown"),
        ("http://:secret@one", "is not an address"),
    ],
)
def test_an_invalid_address_is_explained_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        located(url)

    assert "secret" not in str(error.value)


def test_commands_have_the_slot_of_their_first_key() -> None:
    slot = slot_of(("GET", "{shop}"))

    assert slot_of((b"GET", b"{shop}")) == slot
    assert slot_of(("EVALSHA", "sha", 2, "a:{shop}:b", "c:{shop}", 1)) == slot
    assert slot_of(("MEMORY", "USAGE", "{shop}")) == slot
    assert slot_of(("EVALSHA", "sha", 0, "{shop}")) is None
    assert slot_of(("TIME",)) is None
