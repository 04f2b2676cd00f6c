"""Edits of a placement's definition: each returns a changed copy."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from shared.events.placements import StrategyName

Definition = dict[str, Any]

STRATEGIES: Mapping[StrategyName, str] = {
    "for-you": "what suits the visitor",
    "because-you-viewed": "similar to what they viewed",
    "similar": "similar to the item of the page",
    "bought-together": "goes with the item or the cart",
    "buy-again": "bought before, and due again",
    "recently-viewed": "what they viewed",
    "trending": "wanted more than usual now",
    "new-arrivals": "the newest items",
    "popular": "popular in the category, near the visitor, everywhere",
    "campaign": "live scores of a campaign",
    "recipe": "the lists of a recipe",
    "fixed": "items that you name",
}
"""The proposals of each strategy, for people."""

RULES = ("pins", "hide", "boosts", "caps", "promotions", "quotas")
"""The rules that are lists, in the order of the page."""

NEW: Definition = {"strategies": [{"strategy": "for-you"}]}


class InvalidDraft(ValueError):
    """The draft or a field is not valid; the text says what to do."""


def parse(text: str) -> Definition:
    """Return the definition of a text; raises InvalidDraft if it is no JSON object."""
    try:
        definition = json.loads(text)
    except ValueError as error:
        message = f"The definition is not JSON: {error}."
        raise InvalidDraft(message) from None
    if not isinstance(definition, dict):
        message = 'The definition must be a JSON object, such as {"strategies": [{"strategy": "for-you"}]}.'
        raise InvalidDraft(message)
    return definition


def shown(definition: Mapping[str, Any]) -> str:
    """Return a definition as text for people: without members that are empty, which mean the same."""
    return json.dumps(_without_nothing(definition), indent=2, ensure_ascii=False)


def _without_nothing(value: Any) -> Any:
    if isinstance(value, Mapping):
        members = {name: _without_nothing(member) for name, member in value.items()}
        return {name: member for name, member in members.items() if member not in (None, [], {})}
    if isinstance(value, list | tuple):
        return [_without_nothing(member) for member in value]
    return value


def item_ids(definition: Mapping[str, Any]) -> list[str]:
    """Return the ids of items that are pinned or hidden."""
    rules = definition.get("rules")
    if not isinstance(rules, dict):
        return []
    pinned = [rule.get("item_id") for rule in _mappings(rules.get("pins"))]
    hidden = [item for rule in _mappings(rules.get("hide")) for item in rule.get("item_ids") or []]
    return [str(item) for item in (*pinned, *hidden) if item]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def edited(definition: Definition, edit: str, fields: Mapping[str, str]) -> Definition:
    """Return the definition after an edit, such as `add-pins` or `remove-hide-0`.

    Raises InvalidDraft for an unknown edit, a missing field, or a position that does not exist.
    """
    draft = copy.deepcopy(definition)
    verb, _, subject = edit.partition("-")
    try:
        match verb:
            case "add":
                _ADDITIONS[subject](draft, fields)
            case "remove":
                name, _, index = subject.rpartition("-")
                del _list(draft, name)[int(index)]
            case "raise":
                strategies, position = _list(draft, "strategies"), int(subject)
                strategies.insert(max(0, position - 1), strategies.pop(position))
            case "set":
                _SETTINGS[subject](draft, fields)
            case _:
                _refuse(edit)
    except InvalidDraft:
        raise
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        message = f"The draft has no {error}: load the page again."
        raise InvalidDraft(message) from None
    return draft


def _refuse(edit: str) -> NoReturn:
    raise KeyError(edit)


def _list(draft: Definition, name: str) -> list[Any]:
    if name == "strategies":
        return draft.setdefault("strategies", [])  # type: ignore[no-any-return]
    if name not in RULES:
        raise KeyError(name)
    return draft.setdefault("rules", {}).setdefault(name, [])  # type: ignore[no-any-return]


def _period(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the period of a rule, in UTC."""
    return {name: f"{fields[name]}:00Z" for name in ("starts_at", "ends_at") if fields.get(name)}


def _needed(fields: Mapping[str, str], name: str, about: str) -> str:
    value = fields.get(name, "").strip()
    if not value:
        message = f"Enter {about}."
        raise InvalidDraft(message)
    return value


def _whole(fields: Mapping[str, str], name: str, about: str) -> int:
    value = _needed(fields, name, about)
    if not value.isascii() or not value.isdigit():
        message = f"{value!r} is not a whole number: enter {about}."
        raise InvalidDraft(message)
    return int(value)


def _add_pin(draft: Definition, fields: Mapping[str, str]) -> None:
    pin = {
        "item_id": _needed(fields, "pin_item", "the item to pin"),
        "position": _whole(fields, "pin_position", "its position, from 1"),
    }
    _list(draft, "pins").append(pin | _period(fields))


def _add_hide(draft: Definition, fields: Mapping[str, str]) -> None:
    item_ids = [item.strip() for item in _needed(fields, "hide_items", "the items to hide").split(",")]
    _list(draft, "hide").append({"item_ids": [item for item in item_ids if item]} | _period(fields))


def _add_boost(draft: Definition, fields: Mapping[str, str]) -> None:
    factor = _needed(fields, "boost_factor", "a factor, such as 2 to raise or 0.5 to lower")
    try:
        where = _expression(_needed(fields, "boost_where", "a column and its values"))
        boost = {"where": where, "factor": float(factor)}
    except ValueError as error:
        if isinstance(error, InvalidDraft):
            raise
        message = f"{factor!r} is not a number: enter a factor, such as 2 to raise or 0.5 to lower."
        raise InvalidDraft(message) from None
    _list(draft, "boosts").append(boost | _period(fields))


def _expression(text: str) -> str:
    """Return a filter expression; `CATEGORY = Tea, Coffee` stands for items with one of these values."""
    column, equals, values = text.partition("=")
    if not equals or not column.strip().isidentifier():
        return text
    quoted = (json.dumps(value.strip(), ensure_ascii=False) for value in values.split(",") if value.strip())
    return f"INCLUDE ItemID WHERE Items.{column.strip()} IN ({', '.join(quoted)})"


def _add_cap(draft: Definition, fields: Mapping[str, str]) -> None:
    column = _needed(fields, "cap_column", "a column, such as BRAND")
    _list(draft, "caps").append({"column": column, "most": _whole(fields, "cap_most", "the most items")})


def _add_strategy(draft: Definition, fields: Mapping[str, str]) -> None:
    strategy = _needed(fields, "strategy", "a strategy")
    use: dict[str, Any] = {"strategy": strategy}
    argument = fields.get("strategy_argument", "").strip()
    if argument:
        match strategy:
            case "campaign" | "recipe":
                use[strategy] = argument
            case "fixed":
                use["item_ids"] = [item.strip() for item in argument.split(",") if item.strip()]
            case "popular":
                use["area"] = argument
            case _:
                use["limit"] = _whole(fields, "strategy_argument", "the most items of the strategy")
    _list(draft, "strategies").append(use)


def _set_limit(draft: Definition, fields: Mapping[str, str]) -> None:
    draft["limit"] = _whole(fields, "limit", "the number of items of an answer")


_ADDITIONS: dict[str, Callable[[Definition, Mapping[str, str]], None]] = {
    "pins": _add_pin,
    "hide": _add_hide,
    "boosts": _add_boost,
    "caps": _add_cap,
    "strategies": _add_strategy,
}
_SETTINGS: dict[str, Callable[[Definition, Mapping[str, str]], None]] = {"limit": _set_limit}
