"""Which events count, and how much: the solution's settings over a shop's common sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.recipes.elsewhere import Rule, mask
from services.engine.training.dataset.columns import tally
from services.engine.training.dataset.dataset import Dataset
from shared.errors import Permanent
from shared.events import canonical_type

UNCOUNTED = (
    *("remove_from_cart", "refund", "search", "list_view", "impression", "exposure"),
    *("order_update", "cancel"),
)
"""Types that say nothing good about an item; they count only when nothing else is there."""

EVEN: Mapping[str, float] = dict.fromkeys(UNCOUNTED, 0.0)
"""Every type counts alike, as Personalize does without eventsConfig."""

GRADED: Mapping[str, float] = {
    **EVEN,
    "purchase": 1.0,
    "begin_checkout": 0.7,
    "add_to_cart": 0.5,
    "view_cart": 0.3,
    "wishlist": 0.5,
    "click": 0.2,
    "view": 0.2,
}
"""The closer to a purchase, the more an event says; types of one's own count in full."""

TypeWeights = dict[str, float]
"""Canonical type → weight; "" is every type that is not named."""


def configured(config: Mapping[str, Any]) -> TypeWeights | None:
    """The weights that the solution itself sets, or None when it leaves them open."""
    parameters = (config.get("eventsConfig") or {}).get("eventParametersList") or []
    if parameters:
        named = {canonical_type(entry["eventType"]): float(entry.get("weight", 1.0)) for entry in parameters}
        return {"": 0.0, **named}
    event_type = config.get("eventType")
    return {"": 0.0, canonical_type(event_type): 1.0} if event_type else None


def counted(dataset: Dataset, config: Mapping[str, Any]) -> Dataset:
    """The interactions that train: of the configured types, with values at their thresholds.

    Raises Permanent when nothing is left, naming the setting that left nothing.
    """
    names = dataset.event_type_names
    present = [
        name for name, count in zip(names, tally(dataset.event_types, len(names)), strict=True) if count
    ]
    counts = rule(config, present)
    kept = mask(dataset, counts)
    if not kept.any():
        raise Permanent(_nothing_left(dataset, config))
    left = dataset.where(kept)
    return replace(left, elsewhere=dataset.elsewhere.ruled(counts)) if dataset.elsewhere else left


def rule(config: Mapping[str, Any], present: Sequence[str]) -> Rule:
    """What counts of the event types that are there."""
    weights = configured(config)
    wanted = {**EVEN, "": 1.0} if weights is None else weights
    types = {name for name in present if numbered(wanted, (name,))[0] > 0}
    if weights is None and not types:
        types = set(present)
    thresholds = {present[number]: value for number, value in _thresholds(config, tuple(present)).items()}
    return Rule(frozenset(types), thresholds)


def numbered(weights: Mapping[str, float], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Weights by the number of the type."""
    return np.array([weights.get(name, weights.get("", 1.0)) for name in names])


def _thresholds(config: Mapping[str, Any], names: tuple[str, ...]) -> dict[int, float]:
    """The smallest value that counts, by the number of the type."""
    overall = config.get("eventValueThreshold")
    found = {} if overall in (None, "") else dict.fromkeys(range(len(names)), float(overall))
    for entry in (config.get("eventsConfig") or {}).get("eventParametersList") or []:
        name = canonical_type(entry["eventType"])
        if entry.get("eventValueThreshold") is not None and name in names:
            found[names.index(name)] = float(entry["eventValueThreshold"])
    return found


def _nothing_left(dataset: Dataset, config: Mapping[str, Any]) -> str:
    if len(dataset) == 0:
        return "The Interactions dataset has no interactions: import some before training."
    return (
        f"None of the {len(dataset)} interactions match the solution's eventType "
        f"({config.get('eventType')}), eventValueThreshold ({config.get('eventValueThreshold')}) and "
        f"eventsConfig; the dataset has the types {', '.join(dataset.event_type_names)}."
    )


def known_types(dataset: Dataset, weights: Mapping[str, float]) -> tuple[str, ...]:
    """The types that a model tells apart; the last, "", is every other one."""
    return (*sorted({*dataset.event_type_names, *weights} - {""}), "")
