"""The gateway routes every documented path to the service that documents it."""

from __future__ import annotations

import json
import re

import pytest

from deploy.gateway.routes import ROUTES
from deploy.local.ports import SERVICES
from tests.architecture.source import ROOT

# The router forwards these to the recommender, which the gateway calls itself.
FORWARDED = {
    "router": (
        "/api/",
        "/graphql",
        "/recommendations",
        "/personalize-ranking",
        "/action-rec",
        "/v1/placements/",
    )
}

OTHERWISE_ROUTED = {(service, "/") for service in ("engine", "trainer", "loader", "analytics")}
"""Services of AWS: by the header X-Amz-Target and the name in the signature."""

OWN_PATHS = {"dashboard"}
"""Services below a prefix of their own."""


def service_of(path: str) -> str | None:
    """Return the service of a path, chosen as nginx does: an exact path, else a pattern, else a prefix."""
    exact = {route.path: route.service for route in ROUTES if "{" not in route.path}
    if path in exact:
        return exact[path]
    for route in ROUTES:
        if "{" in route.path and re.fullmatch(re.sub(r"{[a-z_]+}", "[^/]+", route.path), path):
            return route.service
    prefixes = [route for route in ROUTES if route.path.endswith("/*") and path.startswith(route.path[:-1])]
    return max(prefixes, key=lambda route: len(route.path)).service if prefixes else None


@pytest.mark.parametrize("service", sorted(set(SERVICES) - OWN_PATHS))
def test_a_documented_path_reaches_its_service(service: str) -> None:
    """A new path needs a row in deploy/gateway/routes.py."""
    paths = json.loads((ROOT / f"docs/openapi/{service}.json").read_text())["paths"]
    for path in paths:
        if (service, path) not in OTHERWISE_ROUTED and not path.startswith(FORWARDED.get(service, ("-",))):
            assert service_of(re.sub(r"{[a-z_]+}", "x", path)) == service, path
