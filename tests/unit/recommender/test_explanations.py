"""An explanation says in one sentence why an item is there, and which step left an item out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.recommender.domain.catalogue import Catalogue
from services.recommender.serving.placements.candidates import Candidate, Dropped, PlacementAnswer, Signal
from services.recommender.serving.placements.explanations import explain, sentence
from services.recommender.serving.placements.request import PlacementRequest
from shared.events.placements import DEFAULT_PLACEMENTS

NAMES = {"k": "Blue Kettle"}


def said(strategy: str, *signals: Signal) -> str:
    return sentence(
        Candidate("i", strategy, signals=list(signals)), lambda item_id: NAMES.get(item_id, item_id)
    )


@pytest.mark.parametrize(
    ("strategy", "signals", "expected"),
    [
        ("because-you-viewed", [Signal("viewed", 0.5, "k")], "Because you viewed Blue Kettle"),
        ("because-you-viewed", [Signal("viewed", 0.5, "unnamed")], "Because you viewed unnamed"),
        ("recently-viewed", [Signal("viewed")], "You viewed this"),
        ("bought-together", [Signal("bought_with", 0.5, "k")], "Often bought with Blue Kettle"),
        ("bought-together", [Signal("in_cart", None, "k")], "Goes with Blue Kettle in your cart"),
        ("similar", [Signal("list", 0.5, "k")], "Similar to Blue Kettle"),
        ("popular", [Signal("popular_in", detail="Lahore")], "Popular in Lahore"),
        ("popular", [Signal("popular_in", detail="city:Lahore")], "Popular in Lahore"),
        ("popular", [Signal("popular_in", detail="all")], "Popular with other customers"),
        ("buy-again", [Signal("bought_before", 3.0)], "You bought this before"),
        ("new-arrivals", [Signal("new")], "New in the shop"),
        ("for-you", [Signal("model")], "Recommended for you"),
        ("for-you", [Signal("list", detail="user-personalization")], "Recommended for you"),
        ("similar", [Signal("list", 0.5)], "Similar to this item"),
        ("trending", [], "Trending now"),
        ("campaign", [], "Recommended for you"),
        (
            "for-you",
            [Signal("model"), Signal("boosted", 2.0, None, "x"), Signal("pinned")],
            "Chosen by the shop",
        ),
        ("popular", [Signal("popular_in", detail="Lahore"), Signal("promoted", detail="sale")], "Promoted"),
        (
            "for-you",
            [Signal("model"), Signal("viewed", 1.0, "k"), Signal("viewed", 0.1, "b")],
            "Because you viewed Blue Kettle",
        ),
    ],
)
def test_a_sentence_names_the_first_reason(strategy: str, signals: list[Signal], expected: str) -> None:
    assert said(strategy, *signals) == expected


def test_an_answer_is_explained() -> None:
    catalogue = Catalogue()
    catalogue.put(
        "k", "Blue Kettle", 20.0, available=True, as_of=datetime.now(UTC), properties={"name": "Blue Kettle"}
    )
    answer = PlacementAnswer(
        PlacementRequest("shop", "home", "u"),
        DEFAULT_PLACEMENTS["home"],
        3,
        [Candidate("a", "because-you-viewed", 0.5, [Signal("viewed", 0.5, "k")])],
        [
            Dropped("b", "for-you", "cap", "BRAND acme: at most 2"),
            Dropped("c", "for-you", "step of a later release"),
        ],
        b"model",
        None,
        "f" * 64,
        4,
        1_700_000_000.0,
    )

    explanation: dict[str, Any] = explain(answer, catalogue)

    assert explanation == {
        "items": [
            {
                "product_id": "a",
                "position": 1,
                "strategy": "because-you-viewed",
                "score": 0.5,
                "sentence": "Because you viewed Blue Kettle",
                "signals": [{"name": "viewed", "weight": 0.5, "item_id": "k"}],
            }
        ],
        "dropped": [
            {
                "product_id": "b",
                "strategy": "for-you",
                "step": "cap",
                "detail": "BRAND acme: at most 2",
                "sentence": "Better items have the same value",
            },
            {
                "product_id": "c",
                "strategy": "for-you",
                "step": "step of a later release",
                "detail": None,
                "sentence": "The step step of a later release left it out",
            },
        ],
        "history_events": 4,
        "newest_event_seconds": 1_700_000_000.0,
        "model_sha256": "f" * 64,
    }
