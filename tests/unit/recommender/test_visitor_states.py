"""A visitor is read in one round trip: the events of user and session once, and lists of any recipe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import orjson
import pytest

from services.recommender.domain.activations import Activation, ActiveGenerations, Overlay
from services.recommender.store.keys import (
    filled_key,
    history_key,
    link_key,
    list_key,
    location_key,
    purchases_key,
)
from services.recommender.store.list_batches import ListBatches
from services.recommender.store.lists import ListLookup, Lists
from services.recommender.store.profiles import Profile, Profiles
from services.recommender.store.visitor_states import VisitorStates
from shared.redis import Unavailable

TENANT = "shop"
LIST = [["i1", 0.5]]


def entry(item_id: str, seconds: float, event_id: str) -> bytes:
    return orjson.dumps([item_id, "view", seconds, event_id])


class Redis:
    """Redis with some values; it counts the round trips."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.trips = 0
        self.is_up = True

    async def execute(self, *commands: Sequence[Any]) -> list[Any]:
        if not self.is_up:
            raise Unavailable("away")
        self.trips += 1
        empty = {"LRANGE": [], "ZRANGEBYSCORE": [], "GET": None, "EXISTS": 0}
        return [self.values.get(command[1], empty[command[0]]) for command in commands]


class StoredLists(Lists):
    """Lists of which Postgres has one."""

    async def from_postgres(self, *arguments: Any, overlay: Overlay | None = None) -> ListLookup:
        purchased = {"bought"} if arguments[-1] else set()
        lookup = ListLookup(
            [("p", 1.0)] if arguments[3] else [], purchased, b"postgres", ("Graz", None, None)
        )
        lookup.overlay = overlay
        return lookup


class StoredProfiles(Profiles):
    """Profiles of which Postgres has one event per subject."""

    async def from_postgres(self, _tenant: str, subject: str) -> Profile:
        return Profile([(f"of-{subject}", "view", 1), ("of-both", "view", 2)])


def states(redis: Redis, overlays: dict[str, Overlay] | None = None) -> VisitorStates:
    lookback, store = timedelta(days=30), cast("Any", redis)
    active = ActiveGenerations()
    generations = {"similar-items": 7, "user-personalization": 8}
    active.activate(TENANT, Activation(1, generations, overlays=overlays or {}))
    lists = StoredLists(store, cast("Any", None), lookback)
    profiles = StoredProfiles(store, cast("Any", None), lookback)
    return VisitorStates(store, profiles, lists, ListBatches(store, lists, active, cast("Any", None)))


VALUES: dict[str, Any] = {
    history_key(TENANT, "u1"): [entry("c", 3.5, "3"), entry("a", 1.0, "1")],
    history_key(TENANT, "s1"): [entry("d", 4.0, "4"), entry("b", 2.0, "2"), entry("a", 1.0, "1")],
    purchases_key(TENANT, "u1"): [b"x"],
    purchases_key(TENANT, "s1"): [b"y"],
    location_key(TENANT, "u1"): b'["Graz",null,null]',
    list_key(TENANT, 7, "similar-items", "i9"): orjson.dumps(LIST),
    filled_key(TENANT, 8): 1,
}


async def test_the_events_of_user_and_session_are_joined_in_one_round_trip() -> None:
    redis = Redis(VALUES)

    state = await states(redis).read(
        TENANT, "u1", "s1", [("similar-items", "i9"), ("user-personalization", "u1"), ("none", "u1")]
    )

    assert redis.trips == 1
    assert (state.profile.event_count, state.profile.newest_seconds) == (4, 4)
    assert [event[0] for event in state.profile.history] == ["a", "b", "c", "d"]
    assert (state.profile.event_count, state.profile.newest_seconds) == (4, 4)
    assert state.profile.purchased == {"x", "y"}
    assert state.location == ("Graz", None, None)
    similar = state.lists["similar-items", "i9"]
    assert (similar.items, similar.source, similar.generation) == (LIST, b"redis", 7)
    assert (state.lists["user-personalization", "u1"].items, len(state.lists)) == ([], 2)


@pytest.mark.parametrize(("owner", "items"), [(b"u1", 4), (b"u2", 2), (None, 4)])
async def test_a_session_of_another_user_is_not_joined(owner: bytes | None, items: int) -> None:
    redis = Redis({**VALUES, link_key(TENANT, "s1"): owner})

    state = await states(redis).read(TENANT, "u1", "s1")

    assert len(state.profile.history) == items
    assert ("y" in state.profile.purchased) is (items == 4)


async def test_a_session_alone_and_nobody() -> None:
    redis = Redis(VALUES)
    session = await states(redis).read(TENANT, None, "s1")
    nobody = await states(redis).read(TENANT, None, None)

    assert [event[0] for event in session.profile.history] == ["a", "b", "d"]
    assert (session.location, nobody.profile.history, redis.trips) == (None, [], 1)


async def test_a_list_that_redis_lacks_comes_from_postgres() -> None:
    state = await states(Redis(VALUES)).read(TENANT, "u1", None, [("similar-items", "i8")])

    stored = state.lists["similar-items", "i8"]
    assert (stored.items, stored.source) == ([("p", 1.0)], b"postgres")


async def test_without_redis_everything_comes_from_postgres() -> None:
    redis = Redis(VALUES)
    redis.is_up = False

    state = await states(redis).read(TENANT, "u1", "s1", [("similar-items", "i9")])

    assert sorted(event[0] for event in state.profile.history) == ["of-both", "of-s1", "of-u1"]
    assert (state.profile.purchased, state.location) == ({"bought"}, ("Graz", None, None))
    assert state.lists["similar-items", "i9"].source == b"postgres"


async def test_an_invalid_entry_leaves_an_empty_history() -> None:
    redis = Redis({history_key(TENANT, "u1"): [b"nonsense"]})

    state = await states(redis).read(TENANT, "u1", None)

    assert (state.profile.newest_seconds, state.profile.history) == (None, [])
