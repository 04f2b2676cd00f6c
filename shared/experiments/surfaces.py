"""The surfaces of experiments: what a request is for, by the route or the campaign that it names."""

from __future__ import annotations

PREFIX = "/api/v1/personalize"
BACKEND = "/api/personalize/recommendations"
"""The paths of the REST API, which the router passes on."""

RECOMMENDATIONS, SIMILAR, AFFINITY = "recommendations", "similar-items", "item-affinity"
"""The surfaces of the REST API."""

HOLDOUT = "holdout"
"""The surface of a holdout: every request that an experiment could answer. Its first variant takes part in no
experiment; the others do, and are measured like it."""

RESERVED = frozenset({"by-location", "by-segment", "by-category", "similar", "item-affinity"})
"""Path segments of this API and of similar ones. They are rejected as ids of users, with 404."""


def campaign_surface(name: str) -> str:
    """Return the surface of a campaign: every call of the runtime API that names it."""
    return f"campaign/{name}"


def placement_surface(name: str) -> str:
    """Return the surface of a placement: every request that names it, on its own or on a page."""
    return f"placement/{name}"
