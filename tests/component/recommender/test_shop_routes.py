"""The routes that programs of existing shops call: customers of a place or a segment, Shopify themes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events.topics import CACHES, ITEMS
from tests.support.waiting import eventually

REST = "/api/v1/personalize"
LISTED = [(f"i{n}", round(1 - n / 100, 2)) for n in range(20)]
CUSTOMERS = (
    ("03001_Aisha", "Aisha", "Lahore", "Punjab"),
    ("03002_Bilal", "Bilal", "LAHORE", "Punjab"),
    ("03003_Chand", "Chand", "Karachi", "Sindh"),
)


@pytest.fixture(scope="module")
async def caller(module_world: Any) -> AsyncIterator[Any]:
    """Yield a client of the recommender that the tests of this module share."""
    await _fill(module_world)
    async with module_world.recommender() as client:
        await ready(client)
        yield client


async def _fill(world: Any) -> None:
    """Put in three customers of two cities with lists, and twenty items with handles and images."""
    now = datetime.now(UTC)
    await world.sql(
        "INSERT INTO sync.users (tenant, user_id, name, city, province, attributes) "
        "VALUES ($1, $2, $3, $4, $5, jsonb_build_object('email', $6::text))",
        *((world.tenant, *customer, f"{customer[1]}@shop.example") for customer in CUSTOMERS),
    )
    await world.sql(
        "INSERT INTO tracker.interactions (tenant, event_id, user_id, event_type, item_id, value, order_id, "
        "source, occurred_at, received_at, historical, fingerprint) "
        "VALUES ($1, $2, $3, 'purchase', 'i19', $4, $2, 'order', $5, $5, true, 0)",
        *((world.tenant, f"o{n}", "03001_Aisha", 12_000.0, now - timedelta(days=5 + n)) for n in range(5)),
        *((world.tenant, f"p{n}", "03003_Chand", 900.0, now - timedelta(days=200 + n)) for n in range(2)),
    )
    await world.activate(7, 1, ["user-personalization", "similar-items", "item-affinity", "popularity"])
    await world.lists(
        7,
        "user-personalization",
        {"03001_Aisha": LISTED[:4], "03002_Bilal": LISTED[2:6], "03003_Chand": LISTED[8:10]},
    )
    await world.lists(7, "similar-items", {"i1": LISTED[10:14]})
    await world.lists(7, "item-affinity", {"03001_Aisha": LISTED[6:8]})
    await world.lists(7, "popularity", {"all": LISTED[14:18], "city:Lahore": LISTED[16:18]})
    items = [
        world.item(
            f"i{n}",
            name=f"Item {n}",
            price=n + 0.5,
            category="tea" if n % 2 else "coffee",
            attributes={"handle": f"item-{n}", "images": [f"{n}.png", "back.png"]},
        )
        for n in range(20)
    ]
    await world.publish(ITEMS, *items)
    pointer = world.pointer(1, user_personalization=7, similar_items=7, item_affinity=7, popularity=7)
    await world.publish(CACHES, pointer)


async def ready(caller: Any) -> None:
    async def whole() -> bool:
        status = (await caller.get(f"{REST}/status")).json()
        return bool(status["activation"] and status["items"] >= 20)

    await eventually(whole)


async def test_a_place_has_its_customers_and_what_they_get(caller: Any) -> None:
    by_location = f"{REST}/recommendations/by-location"
    lahore = (await caller.get(f"{by_location}?city=lahore&num_results=4")).json()
    nobody = (await caller.get(f"{by_location}?city=Nowhere")).json()
    without = (await caller.get(f"{by_location}?city=Lahore&limit_users=0")).json()
    tea = (await caller.get(f"{by_location}?city=Lahore&num_results=4&category=Tea")).json()

    assert {user["customer_id"] for user in lahore["users"]} == {"03001_Aisha", "03002_Bilal"}
    aisha = next(user for user in lahore["users"] if user["customer_name"] == "Aisha")
    assert [row["product_id"] for row in aisha["recommendations"]] == ["i0", "i1", "i2", "i3"]
    rows = {row["product_id"]: row for row in lahore["aggregated_recommendations"]}
    assert (rows["i2"]["recommended_to_users"], rows["i0"]["recommended_to_users"]) == (2, 1)
    assert rows["i2"]["avg_score"] == pytest.approx(0.98)
    assert rows["i2"]["product_name"] == "Item 2"
    assert (nobody["users"], nobody["aggregated_recommendations"]) == ([], [])
    assert without["users"] == []
    assert {row["category"] for row in tea["aggregated_recommendations"]} == {"tea"}


async def test_a_segment_is_chosen_by_recency_orders_and_spending(caller: Any) -> None:
    by_segment = f"{REST}/recommendations/by-segment"
    champions = (await caller.get(f"{by_segment}?segment=champions&limit=3")).json()
    lost = (await caller.get(f"{by_segment}?segment=Lost")).json()
    elsewhere = (await caller.get(f"{by_segment}?segment=lost&city=Lahore")).json()
    unknown = await caller.get(f"{by_segment}?segment=whales")

    assert champions["users_analyzed"] == 1
    assert [row["product_id"] for row in champions["aggregated_recommendations"]] == ["i0", "i1", "i2"]
    assert "i8" in {row["product_id"] for row in lost["aggregated_recommendations"]}
    assert elsewhere["aggregated_recommendations"] == []
    assert (unknown.status_code, unknown.json()["error"]) == (400, "UnknownSegment")


async def test_affinity_and_backend_rows_have_the_members_that_programs_read(caller: Any) -> None:
    affinity = (await caller.get(f"{REST}/item-affinity/03001_Aisha?num_results=2")).json()
    backend = (await caller.get("/api/personalize/recommendations/i1?numResults=2")).json()

    assert affinity["status"] == "success"
    assert [row["affinity_score"] for row in affinity["recommendations"]] == [0.94, 0.93]
    first = backend["recommendations"][0]
    assert (first["_id"], first["name"], first["image"]) == ("i10", "Item 10", ["10.png", "back.png"])


async def test_a_theme_gets_similar_personal_and_popular_products(caller: Any) -> None:
    similar = (await caller.get("/shopify/similar/i1?limit=3&mg_session_id=s1")).json()
    unknown = (await caller.get("/shopify/similar/nothing")).json()
    popular = (await caller.get("/api/v1/shopify/popular?city=Lahore&limit=2")).json()
    by_phone = (await caller.post("/shopify/recommendations", json={"customer_phone": "03001"})).json()
    by_mail = await caller.post(
        "/shopify/recommendations", json={"customer_email": "BILAL@shop.example", "limit": 2}
    )
    with_product = await caller.post("/shopify/recommendations", json={"current_product": "i1"})

    assert [row["item_id"] for row in similar["similar_products"]] == ["i10", "i11", "i12"]
    assert similar["similar_products"][0] == {
        "item_id": "i10",
        "item_name": "Item 10",
        "shopify_handle": "item-10",
        "image_url": "10.png",
        "price": 10.5,
        "score": 0.9,
    }
    assert (unknown["success"], unknown["similar_products"]) == (False, [])
    assert [row["item_id"] for row in popular["popular_products"]] == ["i16", "i17"]
    assert [row["item_id"] for row in by_phone["recommendations"]][:4] == ["i0", "i1", "i2", "i3"]
    assert by_phone["recommendation_type"] == "personalized"
    assert [row["item_id"] for row in by_mail.json()["recommendations"]] == ["i2", "i3"]
    assert with_product.json()["recommendation_type"] == "similar"
