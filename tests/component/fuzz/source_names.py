"""Right values for the routes of sources, of their deliveries, and of webhooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.component.fuzz.other_services import SOURCE
from tests.support.fuzz.targets import Known


def source_values(made: Mapping[str, str], new_name: Callable[[], str]) -> dict[str, Known]:
    """Values for each route of sources and webhooks."""
    web: Known = {
        "name": ["web"],
        "seq": [1],
        "config": [SOURCE],
        "secrets": [{"secret": "s"}],
        "body": [{"id": 1}],
    }
    return {
        "sync POST /v1/sources": {**web, "name": [new_name]},
        "sync POST /v1/sources/{name}/run": {"name": ["erp"], "full": [False]},
        "sync DELETE /v1/sources/{name}": {"name": ["spare-source"]},
        **{
            f"sync {route}": web
            for route in (
                "GET /v1/sources/{name}",
                "PUT /v1/sources/{name}",
                "GET /v1/sources/{name}/deliveries",
                "GET /v1/sources/{name}/deliveries/{seq}",
                "POST /v1/sources/{name}/deliveries/{seq}/replay",
            )
        },
        "sync POST /v1/webhooks/{source_id}": {"source_id": [made["source-id"]]},
    }
