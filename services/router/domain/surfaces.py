"""Where an experiment can take place: which surface a path is, and whom it is shown to."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qs

PREFIX = "/api/v1/personalize"
BACKEND = "/api/personalize/recommendations"
RECOMMENDATIONS, SIMILAR, AFFINITY = "recommendations", "similar-items", "item-affinity"

RESERVED = frozenset({"by-location", "by-segment", "by-category", "similar", "item-affinity"})
"""Words of the recommender's paths, which it refuses as ids of users."""

# The longest first: an id may hold slashes.
_BY_PATH = (
    (f"{PREFIX}/recommendations/similar/", SIMILAR),
    (f"{PREFIX}/similar-items/", SIMILAR),
    (f"{PREFIX}/recommendations/item-affinity/", AFFINITY),
    (f"{PREFIX}/item-affinity/", AFFINITY),
    (f"{PREFIX}/recommendations/", RECOMMENDATIONS),
    (f"{BACKEND}/", SIMILAR),
)


class Asked(NamedTuple):
    """A surface and the unit that it is shown to."""

    surface: str
    unit: str


def asked(path: str, query: str) -> Asked | None:
    """What a REST request is for; None where there is no surface, nobody to show it to, or no choice.

    `path` is decoded, `query` is not. For an item the unit is the parameter userId, else sessionId. A
    caller who names a strategy has chosen.
    """
    given = parse_qs(query) if query else {}
    if "strategy" in given:
        return None
    if path == BACKEND:
        return _for(RECOMMENDATIONS, given.get("userId"))
    for prefix, surface in _BY_PATH:
        if path.startswith(prefix) and len(path) > len(prefix):
            if surface == SIMILAR:
                return _for(SIMILAR, given.get("userId") or given.get("sessionId"))
            return _of_path(surface, path[len(prefix) :])
    return None


def campaign_surface(name: str) -> str:
    """The surface of a campaign: every call of the runtime API that names it."""
    return f"campaign/{name}"


def _of_path(surface: str, unit: str) -> Asked | None:
    is_reserved = surface == RECOMMENDATIONS and unit.partition("/")[0] in RESERVED
    return None if is_reserved else Asked(surface, unit)


def _for(surface: str, units: list[str] | None) -> Asked | None:
    return Asked(surface, units[0]) if units else None
