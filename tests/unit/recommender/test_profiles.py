"""Properties of a user: from Redis, else from Postgres at most every ten seconds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from services.recommender.store.profiles import NegativeCache, Profiles

if TYPE_CHECKING:
    from services.recommender.store.guarded_database import GuardedDatabase
    from shared.redis import Multiplexer

ROW = {"name": None, "city": "Graz", "province": None, "country": None, "attributes": {}}


class Redis:
    """Redis with one value for every key."""

    def __init__(self) -> None:
        self.value: bytes | None = None

    async def execute(self, *_commands: object) -> list[bytes | None]:
        return [self.value]


class Postgres:
    """A database that always returns the same rows, and counts the reads."""

    def __init__(self, rows: list[dict[str, Any]] | None) -> None:
        self.rows = rows
        self.reads = 0

    async def fetch(self, *_arguments: object) -> list[dict[str, Any]] | None:
        self.reads += 1
        return self.rows


def profiles(redis: Redis, postgres: Postgres) -> Profiles:
    return Profiles(cast("Multiplexer", redis), cast("GuardedDatabase", postgres), timedelta(days=30))


@pytest.mark.parametrize(
    ("rows", "reads"), [([], 1), (None, 3), ([ROW], 3)], ids=["undescribed", "away", "described"]
)
async def test_a_user_without_properties_is_looked_up_once(
    rows: list[dict[str, Any]] | None, reads: int
) -> None:
    postgres = Postgres(rows)
    reader = profiles(Redis(), postgres)

    answers = [await reader.properties("shop", "anna") for _ in range(3)]

    assert answers == [{"city": "Graz"} if rows else {}] * 3
    assert postgres.reads == reads


async def test_later_properties_are_returned_at_once() -> None:
    redis, postgres = Redis(), Postgres([])
    reader = profiles(redis, postgres)
    assert await reader.properties("shop", "anna") == {}

    redis.value = b'{"city":"Graz"}'

    assert await reader.properties("shop", "anna") == {"city": "Graz"}


async def test_users_of_another_tenant_are_looked_up_separately() -> None:
    postgres = Postgres([])
    reader = profiles(Redis(), postgres)
    for tenant in ("shop", "other"):
        await reader.properties(tenant, "anna")
    assert postgres.reads == 2


def test_absent_users_leave_the_cache_after_their_ttl_and_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(NegativeCache, "MAX_USERS", 3)
    absent = NegativeCache(lambda: now)
    for number in range(4):
        absent.add(("shop", str(number)))
    assert [absent.contains(("shop", str(number))) for number in range(4)] == [False, True, True, True]

    now = NegativeCache.TTL_SECONDS + 0.1

    assert not absent.contains(("shop", "3"))
