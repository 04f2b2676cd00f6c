"""Segments, aggregated lists, and the members that programs of existing shops read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import orjson
import pytest

from services.recommender.api.replies import Reply
from services.recommender.api.shop_fields import for_backend, with_affinity
from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.segments import SEGMENTS, segment_of
from services.recommender.serving.audiences import MAX_AGGREGATED, Audiences, aggregated
from services.recommender.serving.placements.candidates import Candidate
from services.recommender.store.customers import Customer
from shared.events import UserErasureRequested

ROW = {"product_id": "p1", "product_name": "Pot", "price": 2.5, "score": 0.5, "algorithm": "similar-items"}


def reply(*rows: dict[str, object]) -> Reply:
    return Reply(orjson.dumps({"recommendations": rows, "count": len(rows)}), b"redis", 7)


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("champions", "champions"),
        ("At Risk", "at_risk"),
        ("at-risk", "at_risk"),
        ("Loyal Customers", "loyal"),
        ("new_customers", "new"),
    ],
)
def test_a_segment_has_a_name_in_several_spellings(name: str, segment: str) -> None:
    assert segment_of(name) is SEGMENTS[segment]


def test_an_unknown_name_is_no_segment() -> None:
    assert segment_of("whales") is None


def test_an_aggregation_has_the_mean_score_and_the_number_of_lists() -> None:
    first = [Candidate("a", "for-you", 0.9), Candidate("b", "for-you", 0.2), Candidate("c", "popular")]
    second = [Candidate("a", "for-you", 0.5), Candidate("c", "popular", 0.6)]

    items = [
        (each.item_id, round(each.mean_score, 6), each.customers) for each in aggregated([first, second])
    ]

    assert items == [("a", 0.7, 2), ("c", 0.3, 2), ("b", 0.2, 1)]


def test_an_aggregation_has_the_best_items_only() -> None:
    lists = [[Candidate(f"i{n}", "for-you", n / 100) for n in range(50)]]

    items = aggregated(lists)

    assert len(items) == MAX_AGGREGATED
    assert items[0].item_id == "i49"


def test_a_row_for_a_backend_has_the_names_that_storefronts_read() -> None:
    catalogue = Catalogue()
    catalogue.put(
        "p1", "Pot", 2.5, available=True, as_of=datetime.now(UTC), properties={"images": "a.png|b.png"}
    )

    body = orjson.loads(for_backend(reply(ROW), catalogue).body)

    assert (body["success"], body["isFallback"]) == (True, False)
    assert body["recommendations"] == [ROW | {"_id": "p1", "name": "Pot", "image": ["a.png", "b.png"]}]


def test_an_affinity_answer_has_a_status_and_affinity_scores() -> None:
    body = orjson.loads(with_affinity(reply(ROW)).body)

    assert body["status"] == "success"
    assert body["recommendations"] == [ROW | {"affinity_score": 0.5}]


def test_an_empty_affinity_answer_has_a_message() -> None:
    body = orjson.loads(with_affinity(reply()).body)

    assert body["status"] == "no_data"
    assert body["message"]


async def test_a_customer_who_is_being_erased_is_left_out() -> None:
    erased = ErasedUsers()
    request = UserErasureRequested.model_validate(
        {
            "event_id": "e",
            "tenant": "shop",
            "occurred_at": datetime.now(UTC),
            "user_id": "gone",
            "erasure_id": "1",
        }
    )
    erased.apply("shop:gone", request)

    class Engine:
        async def answer(self, request: Any) -> Any:
            items = [Candidate(f"for-{request.user_id}", "for-you", 1.0)]
            return type("Answer", (), {"items": items})()

    audiences = Audiences(cast("Any", Engine()), cast("Any", None), erased)
    customers = [Customer(name, None, None, None) for name in ("gone", "kept")]

    audience = await audiences.of("shop", customers, 3, None)

    assert [customer.user_id for customer, _ in audience.customers] == ["kept"]
    assert [item.item_id for item in audience.aggregated] == ["for-kept"]
