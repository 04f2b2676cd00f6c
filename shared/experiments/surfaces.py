"""The surfaces of experiments: which surface a request is for, and which unit it is shown to."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qs

PREFIX = "/api/v1/personalize"
BACKEND = "/api/personalize/recommendations"
RECOMMENDATIONS, SIMILAR, AFFINITY = "recommendations", "similar-items", "item-affinity"

RESERVED = frozenset({"by-location", "by-segment", "by-category", "similar", "item-affinity"})
"""Path segments of this API and of similar ones. They are rejected as ids of users, with 404."""

# The longest first, because an id may contain slashes.
_SURFACE_BY_PATH = (
    (f"{PREFIX}/recommendations/similar/", SIMILAR),
    (f"{PREFIX}/similar-items/", SIMILAR),
    (f"{PREFIX}/recommendations/item-affinity/", AFFINITY),
    (f"{PREFIX}/item-affinity/", AFFINITY),
    (f"{PREFIX}/recommendations/", RECOMMENDATIONS),
    (f"{BACKEND}/", SIMILAR),
)


class SurfaceRequest(NamedTuple):
    """A surface and the unit that it is shown to."""

    surface: str
    unit: str


def surface_request(path: str, query: str) -> SurfaceRequest | None:
    """Return the surface and the unit of a REST request.

    `path` is decoded, `query` is not. The unit of a request for an item is its parameter userId, else
    sessionId. Return None if there is no surface or no unit, or the caller names a strategy: there is nothing
    to choose.
    """
    parameters = parse_qs(query) if query else {}
    if "strategy" in parameters:
        return None
    if path == BACKEND:
        return _for_units(RECOMMENDATIONS, parameters.get("userId"))
    for prefix, surface in _SURFACE_BY_PATH:
        if path.startswith(prefix) and len(path) > len(prefix):
            if surface == SIMILAR:
                return _for_units(SIMILAR, parameters.get("userId") or parameters.get("sessionId"))
            return _for_user(surface, path[len(prefix) :])
    return None


def campaign_surface(name: str) -> str:
    """Return the surface of a campaign: every call of the runtime API that names it."""
    return f"campaign/{name}"


def _for_user(surface: str, user_id: str) -> SurfaceRequest | None:
    is_reserved = surface == RECOMMENDATIONS and user_id.partition("/")[0] in RESERVED
    return None if is_reserved else SurfaceRequest(surface, user_id)


def _for_units(surface: str, units: list[str] | None) -> SurfaceRequest | None:
    return SurfaceRequest(surface, units[0]) if units else None
