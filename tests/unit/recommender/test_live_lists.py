"""When a model scores a user instead of the list."""

from __future__ import annotations

from typing import Any, cast

from services.recommender.domain.activations import Overlay
from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.recipes import SIMILAR, USER
from services.recommender.serving.live_lists import LiveLists
from services.recommender.store.lists import ListLookup
from tests.unit.recommender.placement_shop import ITEMS, NOW, TENANT, TRAINED_AT, Shop, States, ranked

LISTED = ranked(1, 2, 3)


class Profiles:
    """Profiles that return the shop's visitor."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def of(self, _tenant: str, _user_id: str) -> Any:
        return self.shop.state.profile


def live(shop: Shop) -> LiveLists:
    store, profiles, states = cast("Any", shop), cast("Any", Profiles(shop)), cast("Any", States(shop))
    return LiveLists(store, shop.parts.recommender, profiles, states, ErasedUsers())


async def replaced(shop: Shop, lookup: ListLookup) -> Any:
    return await live(shop).of_user(TENANT, "u1", lookup, 5)


def lookup(newest: float | None, items: Any = LISTED) -> ListLookup:
    return ListLookup(items, set(), b"redis", None, newest)


async def test_a_list_stays_until_there_is_an_event_after_those_of_the_model() -> None:
    shop = Shop()
    shop.deploy(USER, "user")
    shop.views("i6")

    assert await replaced(shop, lookup(None)) is None
    assert await replaced(shop, lookup(TRAINED_AT + 0.9)) is None
    served = await replaced(shop, lookup(TRAINED_AT + 1.0))
    assert [item_id for item_id, _ in served.lookup.items] == [*ITEMS[:5]]
    assert (served.lookup.source, served.generation) == (b"model", None)
    assert served.algorithm == "aws-test-recipe"


async def test_a_list_of_an_overlay_stays_until_there_is_an_event_after_it() -> None:
    shop = Shop()
    shop.deploy(USER, "user")
    shop.views("i6")
    listed = lookup(TRAINED_AT + 50.0)
    listed.overlay = Overlay(9, TRAINED_AT + 50.5)

    assert await replaced(shop, listed) is None
    listed.newest_event_seconds = TRAINED_AT + 51.0
    assert await replaced(shop, listed) is not None


async def test_any_event_of_a_user_without_a_list_counts() -> None:
    shop = Shop()
    shop.deploy(USER, "user")
    shop.views("i6")

    assert await replaced(shop, lookup(None, [])) is None
    assert await replaced(shop, lookup(TRAINED_AT - 50.0, [])) is not None


async def test_without_a_loaded_model_lists_answer() -> None:
    shop = Shop()
    shop.views("i6")

    assert not live(shop).may_replace(TENANT, USER)
    assert await replaced(shop, lookup(float(NOW))) is None
    shop.deploy(USER, "user")
    assert live(shop).may_replace(TENANT, USER)
    assert not live(shop).may_replace(TENANT, SIMILAR)


async def test_a_session_counts_as_the_users_and_a_guest_is_scored_by_it() -> None:
    shop = Shop(lists={(USER, "u1"): LISTED})
    shop.deploy(USER, "user")

    served = await live(shop).of_visitor(TENANT, "u1", "s1", 5)
    assert (served.lookup.items, served.lookup.source, served.algorithm) == (LISTED, b"redis", USER)
    guest = await live(shop).of_visitor(TENANT, None, "s1", 5)
    assert guest.lookup.items == []

    shop.views("i6")
    shop.state.profile.purchased = {"i0"}
    for user_id in ("u1", None):
        served = await live(shop).of_visitor(TENANT, user_id, "s1", 3)
        assert [item_id for item_id, _ in served.lookup.items] == ["i1", "i2", "i3"]
        assert served.lookup.source == b"model"
