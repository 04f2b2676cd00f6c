"""Rules of intake as a form shows them: lists have one entry on a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

LISTS: Final = {
    "consent_categories": "Categories of consent that personalization needs",
    "bot_agents": "Further parts of user agents of bots",
    "internal_users": "Users of the shop itself, such as its staff",
    "internal_networks": "Networks of the shop itself, such as 192.0.2.0/24",
}
"""The members that are lists, and their labels."""


def as_fields(rules: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of the form: of event types `name = type` on each line."""
    types = rules.get("event_types") or {}
    lists = {name: "\n".join(rules.get(name) or ()) for name in LISTS}
    return lists | {"event_types": "\n".join(f"{name} = {kind}" for name, kind in sorted(types.items()))}


def as_rules(field: Callable[[str], str]) -> dict[str, Any]:
    """Return the body of a request that saves the rules. The tracker checks it.

    A line of event types without `=` becomes a name without a type, which the tracker refuses.
    """
    pairs = (
        line.rpartition("=") if "=" in line else (line, "=", "") for line in _lines(field("event_types"))
    )
    return {
        **{name: _lines(field(name)) for name in LISTS},
        "event_types": {name.strip(): kind.strip() for name, _, kind in pairs},
        "missing_consent": field("missing_consent") or "granted",
        "withhold_bots": field("withhold_bots") == "yes",
    }


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
