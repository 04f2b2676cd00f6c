"""The weights of events: the solution's settings, or defaults for shops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.aggregates import EventRule
from services.engine.training.dataset.columns import count_numbers, take
from services.engine.training.dataset.dataset import Dataset
from shared.errors import Permanent
from shared.events import canonical_type

UNCOUNTED = (
    *("remove_from_cart", "refund", "search", "list_view", "impression", "exposure"),
    *("order_update", "cancel"),
)
"""Event types that are no sign of interest in an item; they count only if there are no others."""

EVEN: Mapping[str, float] = dict.fromkeys(UNCOUNTED, 0.0)
"""Every event type has the same weight, as in Personalize without eventsConfig."""

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
"""The closer to a purchase, the larger the weight; event types of a shop's own have weight 1. Arbitrary:
held-out users decide whether EVEN or GRADED is better."""

TypeWeights = dict[str, float]
"""Canonical type → weight; "" is every type that is not named."""


def configured_weights(config: TrainingConfig) -> TypeWeights | None:
    """Return the weights that the solution sets, or None if it sets none."""
    if config.event_parameters:
        named = {
            canonical_type(entry.event_type or ""): 1.0 if entry.weight is None else entry.weight
            for entry in config.event_parameters
        }
        return {"": 0.0, **named}
    return {"": 0.0, canonical_type(config.event_type): 1.0} if config.event_type else None


def counted_interactions(dataset: Dataset, config: TrainingConfig) -> Dataset:
    """Return the interactions that train: of the configured types, with values at their thresholds.

    Raises Permanent if none are left, naming the setting that left none.
    """
    names = dataset.event_type_names
    counts = count_numbers(dataset.event_types, len(names))
    rule = event_rule(config, [name for name, count in zip(names, counts, strict=True) if count])
    counted = rule_mask(dataset, rule)
    if not counted.any():
        raise Permanent(_nothing_left(dataset, config))
    left = dataset.where(counted)
    if dataset.aggregates is None:
        return left
    return replace(left, aggregates=dataset.aggregates.counting(rule))


def event_rule(config: TrainingConfig, present: Sequence[str]) -> EventRule:
    """Return which of the `present` event types count, and from which values on."""
    weights = configured_weights(config)
    applied = {**EVEN, "": 1.0} if weights is None else weights
    types = {name for name in present if weights_of(applied, (name,))[0] > 0}
    if weights is None and not types:
        types = set(present)
    thresholds = {present[number]: value for number, value in _thresholds(config, tuple(present)).items()}
    return EventRule(frozenset(types), thresholds)


def rule_mask(dataset: Dataset, rule: EventRule) -> NDArray[np.bool_]:
    """Return whether each interaction counts: bool[interactions]."""
    names = dataset.event_type_names
    counted = take(np.array([name in rule.types for name in names]), dataset.event_types)
    for number, name in enumerate(names):
        if name in rule.thresholds:
            with np.errstate(invalid="ignore"):
                reaches = dataset.values >= rule.thresholds[name]
            counted = counted & (reaches | (dataset.event_types != number))
    return np.asarray(counted, bool)


def weights_of(weights: Mapping[str, float], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the weight of each event type: float64[names]."""
    return np.array([weights.get(name, weights.get("", 1.0)) for name in names])


def model_event_types(dataset: Dataset, weights: Mapping[str, float]) -> tuple[str, ...]:
    """Return the event types that a model distinguishes; the last, "", is every other one."""
    return (*sorted({*dataset.event_type_names, *weights} - {""}), "")


def _thresholds(config: TrainingConfig, names: tuple[str, ...]) -> dict[int, float]:
    """Return the smallest value that counts, by the number of the type."""
    overall = config.event_value_threshold
    thresholds = dict.fromkeys(range(len(names)), float(overall)) if overall else {}
    for entry in config.event_parameters:
        name = canonical_type(entry.event_type or "")
        if entry.event_value_threshold is not None and name in names:
            thresholds[names.index(name)] = entry.event_value_threshold
    return thresholds


def _nothing_left(dataset: Dataset, config: TrainingConfig) -> str:
    if len(dataset) == 0:
        return "The Interactions dataset has no interactions: import some before training."
    return (
        f"None of the {len(dataset)} interactions match the solution's eventType "
        f"({config.event_type}), eventValueThreshold ({config.event_value_threshold}) and "
        f"eventsConfig; the dataset has the types {', '.join(dataset.event_type_names)}."
    )
