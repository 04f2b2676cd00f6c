"""What is left out of a list, how an item is encoded, and which activation holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommender.api.replies import encode_body
from services.recommender.domain.activations import Activation, ActiveGenerations
from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.history_events import Login, history_event, is_kept, login
from services.recommender.domain.recipes import location_list_ids
from shared.events import InteractionRecorded

NOW = datetime(2026, 11, 20, tzinfo=UTC)

names = st.text(min_size=1, max_size=12)
lists = st.lists(st.tuples(names, st.none() | st.floats(allow_nan=False, allow_infinity=False)), max_size=40)


def catalogue(*items: str, withdrawn: tuple[str, ...] = ()) -> Catalogue:
    made = Catalogue()
    for item in (*items, *withdrawn):
        made.put(item, f"The {item}", 2.5, available=item not in withdrawn, as_of=NOW)
    return made


@given(
    listed=lists,
    bought=st.sets(names),
    known=st.lists(names),
    withdrawn=st.lists(names),
    limit=st.integers(1, 50),
)
def test_an_answer_is_the_list_without_excluded_and_withdrawn_items(
    listed: list[tuple[str, float | None]],
    bought: set[str],
    known: list[str],
    withdrawn: list[str],
    limit: int,
) -> None:
    shop = catalogue(*known, withdrawn=tuple(withdrawn))

    answer = orjson.loads(
        encode_body(b'"user_id":"u"', shop.encode(listed, bought, limit, "sims"), b"redis", 7, b"RID-1")
    )

    allowed = [(item, score) for item, score in listed if item not in bought and item not in withdrawn]
    recommended = [(item["product_id"], item["score"]) for item in answer["recommendations"]]
    assert recommended == allowed[:limit] == shop.visible(listed, bought, limit)
    assert answer["count"] == len(recommended)
    for item in answer["recommendations"]:
        assert item["algorithm"] == "sims"
        described = item["product_id"] in known
        assert item["product_name"] == (f"The {item['product_id']}" if described else None)
        assert item["price"] == (2.5 if described else None)


def test_an_older_state_does_not_replace_a_newer_one() -> None:
    shop = Catalogue()
    shop.put("i", "new", 2.0, available=False, as_of=NOW)

    shop.put("i", "old", 1.0, available=True, as_of=NOW - timedelta(hours=1))

    assert shop.is_withdrawn("i")


def test_items_that_the_whole_catalogue_lacks_are_withdrawn() -> None:
    shop = catalogue("a", "b")

    shop.retain({"b", "c"}.__contains__)

    assert shop.is_withdrawn("a")
    assert not shop.is_withdrawn("b")
    assert not shop.is_withdrawn("never heard of")


@given(st.lists(st.integers(1, 50), min_size=1))
def test_the_highest_activation_wins_in_any_order(numbers: list[int]) -> None:
    active = ActiveGenerations()
    for number in numbers:
        active.activate("shop", Activation(number, {"popularity": number}))

    assert active.of("shop").number == max(numbers)
    assert active.of("another").generations == {}


def test_the_nearest_area_comes_first() -> None:
    assert location_list_ids("Köln", None, "Germany") == ["city:Köln", "country:Germany"]


@pytest.mark.parametrize(
    ("event_type", "user", "session", "kept"),
    [
        ("view", "u", None, True),
        ("purchase", "u", "order:1", True),
        ("view", None, "s", True),
        ("purchase", None, "order:1", False),
        ("impression", "u", "s", False),
        ("a shop's own type", "u", "s", True),
    ],
)
def test_users_and_sessions_but_no_guest_orders_have_a_history(
    event_type: str, user: str | None, session: str | None, *, kept: bool
) -> None:
    assert is_kept(event_type, user, session) is kept


@pytest.mark.parametrize(
    ("historical", "age", "kept"), [(True, 31, False), (True, 29, True), (False, 31, True)]
)
def test_old_imported_events_are_skipped(*, historical: bool, age: int, kept: bool) -> None:
    event = InteractionRecorded(
        event_id="e",
        tenant="shop",
        occurred_at=NOW - timedelta(days=age),
        received_at=NOW,
        user_id="u",
        event_type="view",
        item_id="i",
        historical=historical,
    )

    assert (history_event(event, NOW - timedelta(days=30)) is not None) is kept


@pytest.mark.parametrize(
    ("fields", "tie"),
    [
        ({"user_id": "u", "session_id": "s"}, Login("shop", "s", "u")),
        ({"user_id": "u", "session_id": "s", "event_type": "search"}, Login("shop", "s", "u")),
        ({"user_id": "u", "session_id": "u"}, None),
        ({"user_id": "u"}, None),
        ({"session_id": "s"}, None),
        ({"user_id": "u", "session_id": "s", "historical": True}, None),
    ],
)
def test_an_event_of_any_type_with_user_and_session_is_a_login(
    fields: dict[str, Any], tie: Login | None
) -> None:
    content = {"event_type": "identify"} | fields
    event = InteractionRecorded(event_id="e", tenant="shop", occurred_at=NOW, received_at=NOW, **content)

    assert login(event) == tie
