"""Lists of an overlay are read before those of the generation below it, in the same round trip."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import orjson
import pytest

from services.recommender.domain.activations import Overlay
from services.recommender.domain.recipes import USER
from services.recommender.store.keys import filled_key, list_key, purchases_key
from services.recommender.store.lists import ListLookup, Lists
from shared.redis import Unavailable
from tests.unit.recommender.test_visitor_states import TENANT, Redis, states

OVERLAY = Overlay(9, 1_000.0)
OLD, NEW = [["old", 0.5]], [["new", 0.7]]
BASE_KEY, OVERLAY_KEY = list_key(TENANT, 8, USER, "u1"), list_key(TENANT, 9, USER, "u1")
VALUES: dict[str, Any] = {
    BASE_KEY: orjson.dumps(OLD),
    OVERLAY_KEY: orjson.dumps(NEW),
    purchases_key(TENANT, "u1"): [b"x"],
    filled_key(TENANT, 8): 1,
}


class Store(Redis):
    """Redis that remembers its commands."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.commands: list[Sequence[Any]] = []

    async def execute(self, *commands: Sequence[Any]) -> list[Any]:
        self.commands += commands
        return await super().execute(*commands)


class Postgres:
    """Postgres with a list of the generation, and one of the overlay if `newer` is one."""

    def __init__(self, newer: Any) -> None:
        self.newer = newer

    async def fetchrow(self, statement: str, *arguments: Any) -> dict[str, Any] | None:
        if "purchased" in statement:
            return {"items": OLD, "purchased": ["x"], "location": None}
        assert 9 in arguments
        return None if self.newer is None else {"items": self.newer}


def lists(redis: Redis, postgres: Postgres | None = None) -> Lists:
    return Lists(cast("Any", redis), cast("Any", postgres), timedelta(days=30))


async def look_up(parts: Lists, overlay: Overlay | None = OVERLAY) -> ListLookup:
    return await parts.look_up(TENANT, 8, USER, "u1", "u1", overlay=overlay)


@pytest.mark.parametrize(
    ("missing", "items", "overlay"),
    [
        ((), NEW, OVERLAY),
        ((OVERLAY_KEY,), OLD, None),
        ((OVERLAY_KEY, BASE_KEY), [], None),
        ((BASE_KEY,), NEW, OVERLAY),
    ],
)
async def test_the_list_of_the_overlay_comes_first(
    missing: tuple[str, ...], items: Any, overlay: Overlay | None
) -> None:
    redis = Store({key: value for key, value in VALUES.items() if key not in missing})
    lookup = await look_up(lists(redis))

    assert (lookup.items, lookup.overlay, lookup.source) == (items, overlay, b"redis")
    assert lookup.purchased == {"x"}
    assert redis.trips == (2 if len(missing) == 2 else 1)


async def test_an_overlay_costs_one_key_and_none_costs_nothing() -> None:
    redis, plain = Store(VALUES), Store(VALUES)
    await look_up(lists(redis))
    assert (await look_up(lists(plain), None)).items == OLD

    assert [command[:2] for command in redis.commands] == [
        ("GET", OVERLAY_KEY), *(command[:2] for command in plain.commands)
    ]  # fmt: skip


@pytest.mark.parametrize(("newer", "items"), [(NEW, NEW), (None, OLD)])
async def test_without_redis_postgres_has_both(newer: Any, items: Any) -> None:
    redis = Store(VALUES)
    redis.is_up = False
    lookup = await look_up(lists(redis, Postgres(newer)))
    assert (lookup.items, lookup.source, lookup.overlay is not None) == (
        items,
        b"postgres",
        newer is not None,
    )
    with pytest.raises(Unavailable):
        await redis.execute(("GET", BASE_KEY))


@pytest.mark.parametrize("is_up", [True, False])
async def test_a_visitor_is_read_with_overlays_in_one_round_trip(*, is_up: bool) -> None:
    redis = Redis(VALUES)
    redis.is_up = is_up
    keys = [(USER, "u1"), (USER, "u2"), (f"{USER}@8", "u1")]
    state = await states(redis, {USER: OVERLAY}).read(TENANT, "u1", None, keys)

    newer = state.lists[USER, "u1"]
    assert (newer.generation, newer.overlay) == (9, OVERLAY)
    assert (state.lists[f"{USER}@8", "u1"].generation, state.lists[f"{USER}@8", "u1"].overlay) == (8, None)
    if is_up:
        assert redis.trips == 1
        assert (newer.items, state.lists[f"{USER}@8", "u1"].items) == (NEW, OLD)
        assert (state.lists[USER, "u2"].items, state.lists[USER, "u2"].generation) == ([], 8)
