"""The appearance of an item in the answer of a placement, and the rules that name the item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Appearance:
    """An item in an answer: shown at a position, left out by a step, or not proposed by any strategy."""

    state: Literal["shown", "left out", "not proposed", "unknown"]
    position: int | None = None
    step: str | None = None
    sentence: str = ""


def appearance(answer: Mapping[str, Any] | None, item_id: str) -> Appearance:
    """Return the appearance of an item in an explained answer; `unknown` without an answer."""
    if answer is None:
        return Appearance("unknown", sentence="The recommender gave no answer.")
    explanation = answer.get("explanation") or {}
    for item in explanation.get("items", []):
        if item["product_id"] == item_id:
            return Appearance("shown", item["position"], sentence=item["sentence"])
    for item in explanation.get("dropped", []):
        if item["product_id"] == item_id:
            return Appearance("left out", step=item["step"], sentence=item["sentence"])
    return Appearance("not proposed", sentence="No strategy of the placement proposes it to this visitor.")


def rules_of(definition: Mapping[str, Any], item_id: str) -> list[str]:
    """Return the rules of a placement that name an item, as sentences."""
    rules = definition.get("rules") or {}
    sentences = [
        f"pinned at position {pin['position']}"
        for pin in rules.get("pins") or []
        if pin["item_id"] == item_id
    ]
    if any(item_id in (rule.get("item_ids") or []) for rule in rules.get("hide") or []):
        sentences.append("hidden")
    sentences += [
        f"shown in at most {quota['per_day']} answers a day"
        for quota in rules.get("quotas") or []
        if item_id in (quota.get("item_ids") or [])
    ]
    return sentences
