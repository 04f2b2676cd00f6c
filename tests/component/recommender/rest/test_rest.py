"""REST answers from Redis, from Postgres and from memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from shared.events.topics import CACHES, ITEMS
from tests.component.recommender.rest.conftest import FAMOUS, USER, _activated, ids, ready
from tests.component.recommender.world import without_id
from tests.support.waiting import eventually

UNREACHABLE = "127.0.0.1:1"


async def test_a_list_from_redis_has_the_data_of_its_items(caller: Any) -> None:
    answer = await caller.get("/api/v1/personalize/recommendations/u1")

    assert answer.status_code == 200
    assert answer.headers["x-recs-source"] == "redis"
    assert answer.headers["x-recs-generation"] == "7"
    body = answer.json()
    members = ["user_id", "recommendations", "count", "source", "generation", "recommendation_id"]
    assert list(body) == members
    assert (body["user_id"], body["source"], body["generation"]) == ("u1", "redis", 7)
    assert len(body["recommendations"]) == body["count"] == 10
    assert body["recommendations"][0] == {
        "product_id": "i0",
        "product_name": "Item 0",
        "price": 0.5,
        "score": 1.0,
        "algorithm": USER,
    }


ROUTES: list[tuple[str, dict[str, str], Sequence[int]]] = [
    ("/api/v1/personalize/recommendations/similar/i1", {"product_id": "i1"}, [*range(2, 9), *FAMOUS[:3]]),
    ("/api/v1/personalize/similar-items/i1", {"product_id": "i1"}, [*range(2, 9), *FAMOUS[:3]]),
    ("/api/v1/personalize/recommendations/item-affinity/u1", {"user_id": "u1"}, [*range(5, 8), *FAMOUS[:7]]),
    ("/api/v1/personalize/item-affinity/u1", {"user_id": "u1"}, [*range(5, 8), *FAMOUS[:7]]),
    ("/api/v1/personalize/recommendations/u1?limit=3", {"user_id": "u1"}, range(3)),
    ("/api/v1/personalize/recommendations/u1?limit=100", {"user_id": "u1"}, range(30)),
    (
        "/api/v1/personalize/recommendations/u1?strategy=item-affinity",
        {"user_id": "u1"},
        [*range(5, 8), *FAMOUS[:7]],
    ),
    (
        "/api/v1/personalize/recommendations/a%2Fb%3Ac%20%C3%BC",
        {"user_id": "a/b:c ü"},
        [*range(3), *FAMOUS[:7]],
    ),
    ("/api/v1/personalize/recommendations/u1?num_results=12", {"user_id": "u1"}, range(12)),
    ("/api/v1/personalize/recommendations/u1?numResults=12&strategy=user-personalization", {}, range(12)),
    ("/api/personalize/recommendations?userId=u1&numResults=4", {"user_id": "u1"}, range(4)),
    ("/api/personalize/recommendations?userId=u1&limit=12", {"user_id": "u1"}, range(12)),
    ("/api/personalize/recommendations/i1", {"product_id": "i1"}, range(2, 8)),
    ("/api/personalize/recommendations/i1?numResults=2", {"product_id": "i1"}, range(2, 4)),
    (
        "/api/v1/personalize/recommendations/by-location?country=Germany",
        {"country": "Germany"},
        [*range(20, 23), *FAMOUS[:7]],
    ),
    (
        "/api/v1/personalize/recommendations/by-location?city=K%C3%B6ln&country=Germany",
        {"city": "Köln", "country": "Germany"},
        [28, 29, *range(20, 23), *FAMOUS[:5]],
    ),
    (
        "/api/v1/personalize/recommendations/by-location?city=Aachen&country=Germany",
        {"city": "Aachen", "country": "Germany"},
        [*range(20, 23), *FAMOUS[:7]],
    ),
]


async def test_every_route_from_redis_and_without_redis_from_postgres(shop: Any, caller: Any) -> None:
    async with shop.recommender(redis=f"redis://{UNREACHABLE}/0") as without:
        await eventually(lambda: _activated(without))
        for path, names, expected in ROUTES:
            for client, source in ((caller, "redis"), (without, "postgres")):
                answer = await client.get(path)
                assert answer.status_code == 200, (path, answer.text)
                assert ids(answer) == [f"i{n}" for n in expected], path
                assert answer.json() | names == answer.json()
                assert answer.json()["source"] == source


async def test_a_user_without_a_list_gets_what_is_popular_at_their_location(shop: Any, caller: Any) -> None:
    async with shop.redis as store:
        await store.set(f"endcap:place:{shop.tenant}:german", b'[null,null,"Germany"]')
    german = await caller.get("/api/v1/personalize/recommendations/german")
    unknown = await caller.get("/api/v1/personalize/recommendations/nobody")
    unknown_item = await caller.get("/api/v1/personalize/similar-items/i11")

    assert ids(german) == [f"i{n}" for n in [20, 21, 22, *FAMOUS[:7]]]
    assert ids(unknown) == [f"i{n}" for n in range(10, 20)]
    assert german.json()["source"] == unknown.json()["source"] == "popular"
    assert "i11" not in ids(unknown_item)
    assert unknown_item.json()["source"] == "popular"


async def test_a_short_list_is_filled_up_with_popular_items_and_then_with_any(own_shop: Any) -> None:
    async with own_shop.redis as store:
        now = time.time()
        await store.zadd(f"endcap:bought:{{{own_shop.tenant}}}:a/b:c ü", {"i1": now, "i11": now})
    await own_shop.publish(ITEMS, *(own_shop.item(f"i{n}", available=False) for n in (0, 12)))
    async with own_shop.recommender() as caller:
        await ready(caller)

        async def left_out() -> Any:
            listed = await caller.get("/api/v1/personalize/recommendations/a%2Fb%3Ac%20%C3%BC?limit=5")
            return "i0" not in ids(listed) and listed

        listed = await eventually(left_out)
        everything = await caller.get("/api/v1/personalize/recommendations/a%2Fb%3Ac%20%C3%BC?limit=100")

    assert ids(listed) == ["i2", "i10", "i13", "i14", "i15"]
    assert listed.json()["source"] == "redis"
    assert listed.json()["generation"] == 7
    assert set(ids(everything)) == {f"i{n}" for n in range(30)} - {"i0", "i1", "i11", "i12"}
    assert len(ids(everything)) == 26


async def test_a_guest_gets_popular_items(caller: Any) -> None:
    answers = [
        await caller.get(f"/api/personalize/recommendations{query}")
        for query in ("?numResults=17", "?userId=&numResults=17", "?numResults=17&strategy=item-affinity")
    ]
    needs_user = await caller.get("/api/personalize/recommendations/i1")

    for answer in answers:
        assert answer.status_code == 200
        assert ids(answer)[:15] == [f"i{n}" for n in FAMOUS]
        assert len(set(ids(answer))) == 17
        body = answer.json()
        assert (body["user_id"], body["source"], body["generation"], body["count"]) == (
            None,
            "popular",
            7,
            17,
        )
        assert (body["success"], body["isFallback"]) == (True, True)
        chosen_by = [entry["algorithm"] for entry in body["recommendations"]]
        assert chosen_by == ["popularity"] * 15 + [None] * 2
    assert needs_user.json()["success"]
    assert not needs_user.json()["isFallback"]


async def test_withdrawn_items_are_not_shown(own_shop: Any) -> None:
    async with own_shop.recommender() as caller:
        await ready(caller)
        await own_shop.publish(ITEMS, own_shop.item("i0", name="Item 0", available=False))
        await own_shop.delete(ITEMS, f"{own_shop.tenant}:i1")

        async def left_out() -> Any:
            answer = await caller.get("/api/v1/personalize/recommendations/u1")
            return ids(answer)[0] == "i2" and answer

        answer = await eventually(left_out)
        assert len(ids(answer)) == 10

        await own_shop.publish(ITEMS, own_shop.item("i0", name="Item 0", price=9))

        async def back() -> bool:
            return ids(await caller.get("/api/v1/personalize/recommendations/u1"))[0] == "i0"

        await eventually(back)


async def test_a_new_generation_is_served_whole_and_an_older_event_changes_nothing(own_shop: Any) -> None:
    await own_shop.lists(8, USER, {"u1": [("new", 1.0)]})
    async with own_shop.recommender() as caller:
        await ready(caller)
        await own_shop.publish(CACHES, own_shop.pointer(2, user_personalization=8, popularity=7))

        async def flipped() -> bool:
            return (await caller.get("/api/v1/personalize/recommendations/u1")).json()["generation"] == 8

        await eventually(flipped)
        await own_shop.publish(CACHES, own_shop.pointer(1, user_personalization=7))
        await own_shop.publish(ITEMS, own_shop.item("later"))
        await ready(caller, items=31)

        listed = ids(await caller.get("/api/v1/personalize/recommendations/u1"))
        assert listed == ["new", *(f"i{n}" for n in range(10, 19))]


async def test_before_the_first_batch_the_answer_is_empty_and_valid(world: Any) -> None:
    async with world.recommender() as caller:
        answer = await caller.get("/api/v1/personalize/recommendations/u1")

    assert answer.status_code == 200
    empty = {"recommendations": [], "count": 0, "source": "popular", "generation": None}
    body = answer.json()
    assert body.pop("recommendation_id")
    assert body == {"user_id": "u1", **empty}


MISTAKES = [
    ("/api/v1/personalize/recommendations/u1?limit=0", "limit"),
    ("/api/v1/personalize/recommendations/u1?limit=101", "limit"),
    ("/api/v1/personalize/recommendations/u1?limit=ten", "limit"),
    ("/api/v1/personalize/recommendations/", "user_id"),
    (f"/api/v1/personalize/recommendations/{'x' * 257}", "user_id"),
    ("/api/v1/personalize/recommendations/u1?strategy=magic", "user-personalization, item-affinity"),
    (
        "/api/v1/personalize/similar-items/i1?strategy=user-personalization",
        "similar-items, bought-together, popularity",
    ),
    ("/api/v1/personalize/recommendations/by-location", "country"),
    ("/api/v1/personalize/recommendations/u1?limit=5&num_results=6", "one parameter"),
    ("/api/personalize/recommendations?userId=u1&numResults=500", "numResults"),
    ("/api/v1/personalize/recommendations/u1?strategy=arn:aws:personalize:::campaign/none", "none"),
]


async def test_errors_say_what_is_wrong(caller: Any) -> None:
    for path, message in MISTAKES:
        answer = await caller.get(path)
        assert answer.status_code == 400, path
        assert set(answer.json()) == {"error", "detail"}
        assert message in answer.json()["detail"]


async def test_the_fast_path_and_the_application_return_the_same_bytes(caller: Any) -> None:
    paths = [
        "/api/v1/personalize/recommendations/u1",
        "/api/v1/personalize/recommendations/u1?limit=7",
        "/api/v1/personalize/recommendations/nobody",
        "/api/v1/personalize/item-affinity/u1?limit=2",
        "/api/v1/personalize/recommendations/similar/i1?limit=2",
        "/api/v1/personalize/similar-items/i1?num_results=3",
        "/api/personalize/recommendations/i1?limit=3",
        "/api/personalize/recommendations/i1",
    ]
    for path in paths:
        joint = "&" if "?" in path else "?"
        short, long = await caller.get(path), await caller.get(f"{path}{joint}unused=1")
        assert without_id(short) == without_id(long)


async def test_requests_need_a_key_with_the_read_scope(shop: Any, caller: Any) -> None:
    await shop.keys()
    path = "/api/v1/personalize/recommendations/u1"
    for _ in range(2):  # first through the application, which looks the key up; then the fast path
        allowed = await caller.get(path, headers={"x-api-key": "ek_read_test"})
        assert allowed.status_code == 200
        assert (await caller.get(path, headers={"x-api-key": "ek_ingest_test"})).status_code == 403
        assert (await caller.get(path, headers={"x-api-key": "wrong"})).status_code == 401
    elsewhere = await caller.get(path, headers={"x-api-key": "ek_read_test", "x-endcap-tenant": "other"})

    assert ids(elsewhere) == ids(allowed)
