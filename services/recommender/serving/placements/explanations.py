"""Explanations of an answer: why each item is there, and which step left out each dropped candidate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from services.recommender.domain.recipes import GLOBAL_LIST_ID

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.serving.placements.candidates import (
        Candidate,
        Dropped,
        PlacementAnswer,
        Signal,
    )

NameOf = Callable[[str], str]
"""Return the name of an item."""

_BY_PRECEDENCE = (
    "override",
    "pinned",
    "promoted",
    "bought_before",
    "in_cart",
    "bought_with",
    "viewed",
    "trending",
    "new",
    "popular_in",
    "fixed",
    "list",
    "model",
)
"""Signals, the one that a visitor is told first."""

_PLAIN: Mapping[str, str] = {
    "override": "Chosen by the shop",
    "pinned": "Chosen by the shop",
    "promoted": "Promoted",
    "bought_before": "You bought this before",
    "in_cart": "Goes with your cart",
    "bought_with": "Often bought together",
    "viewed": "You viewed this",
    "trending": "Trending now",
    "new": "New in the shop",
    "popular_in": "Popular with other customers",
    "fixed": "Chosen by the shop",
}
_ABOUT_ITEM: Mapping[str, str] = {
    "in_cart": "Goes with {} in your cart",
    "bought_with": "Often bought with {}",
    "viewed": "Because you viewed {}",
}
_BY_STRATEGY: Mapping[str, str] = {
    "similar": "Similar to this item",
    "because-you-viewed": "Similar to what you viewed",
    "bought-together": "Often bought together",
    "buy-again": "You bought this before",
    "recently-viewed": "You viewed this",
    "trending": "Trending now",
    "new-arrivals": "New in the shop",
    "popular": "Popular with other customers",
    "fixed": "Chosen by the shop",
    "pin": "Chosen by the shop",
}
_OF_MODEL = "Recommended for you"

_DROPPED: Mapping[str, str] = {
    "withdrawn": "It is not for sale",
    "requested": "It is the item of the page",
    "shown": "It is shown elsewhere on the page",
    "in_cart": "It is in the cart",
    "purchased": "The visitor bought it lately",
    "viewed": "The visitor viewed it",
    "category": "It is in another category",
    "filter": "A filter leaves it out",
    "hide": "A rule hides it",
    "fatigue": "The visitor saw it often without a click",
    "quota": "It was in enough answers today",
    "cap": "Better items have the same value",
    "limit": "The answer is full",
}


def explain(answer: PlacementAnswer, catalogue: Catalogue) -> dict[str, Any]:
    """Return the explanation of an answer as a JSON object: items in order, and dropped candidates."""

    def name_of(item_id: str) -> str:
        return str(catalogue.properties(item_id).get("name") or item_id)

    return {
        "items": [_item(position, item, name_of) for position, item in enumerate(answer.items, 1)],
        "dropped": [_dropped(drop) for drop in answer.dropped],
        "history_events": answer.history_events,
        "newest_event_seconds": answer.newest_event_seconds,
        "model_sha256": answer.model_sha256,
    }


def sentence(candidate: Candidate, name_of: NameOf) -> str:
    """Return why an item is recommended, for a visitor, such as `Because you viewed Blue Kettle`."""
    by_name = {signal.name: signal for signal in reversed(candidate.signals)}
    for name in _BY_PRECEDENCE:
        signal = by_name.get(name)
        if signal is not None:
            return _sentence_of(signal, candidate.strategy, name_of)
    return _BY_STRATEGY.get(candidate.strategy, _OF_MODEL)


def _sentence_of(signal: Signal, strategy: str, name_of: NameOf) -> str:
    if signal.name == "popular_in" and signal.detail and signal.detail not in {GLOBAL_LIST_ID, "everywhere"}:
        kind, _, place = signal.detail.partition(":")  # such as `city:Lahore`
        return f"Popular in {place or kind}"
    if signal.item_id is not None:
        about = _ABOUT_ITEM.get(signal.name, "Similar to {}")
        return about.format(name_of(signal.item_id))
    return _PLAIN.get(signal.name) or _BY_STRATEGY.get(strategy, _OF_MODEL)


def drop_sentence(step: str) -> str:
    """Return why a step left an item out."""
    return _DROPPED.get(step, f"The step {step} left it out")


def _item(position: int, candidate: Candidate, name_of: NameOf) -> dict[str, Any]:
    return {
        "product_id": candidate.item_id,
        "position": position,
        "strategy": candidate.strategy,
        "score": candidate.score,
        "sentence": sentence(candidate, name_of),
        "signals": [_signal(signal) for signal in candidate.signals],
    }


def _signal(signal: Signal) -> dict[str, Any]:
    """Return a signal without the members that it lacks."""
    return {name: value for name, value in signal._asdict().items() if value is not None}


def _dropped(drop: Dropped) -> dict[str, Any]:
    return {
        "product_id": drop.item_id,
        "strategy": drop.strategy,
        "step": drop.step,
        "detail": drop.detail,
        "sentence": drop_sentence(drop.step),
    }
