"""Resources of the fuzzed tenant in services other than the engine, with the names that requests use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from services.analytics.domain.selections import Selection, usual_selections
from shared.events.topics import INTERACTIONS
from shared.kafka import encoded
from tests.component.fuzz.installation import Installation
from tests.support.dead_letters import bury
from tests.support.kafka import interaction
from tests.support.waiting import until

_ITEMS = "INSERT INTO sync.items (tenant, item_id, name) VALUES ($1, 'i1', 'Tea'), ($1, 'spare', '')"
_USER = "INSERT INTO sync.users (tenant, user_id) VALUES ($1, 'u1')"
_ORDER = (
    "INSERT INTO sync.orders (tenant, kind, order_id, ordered_at, line_count, content, source) "
    "VALUES ($1, 'order', 'o1', $2, 0, '', 'test')"
)
_DELIVERY = (
    "INSERT INTO sync.inbox (source_id, tenant, topic, delivery, body, status, settled_at) "
    "SELECT id, tenant, 'orders/create', 'd1', '{}', 'failed', now() FROM sync.sources "
    "WHERE tenant = $1 AND name = 'web'"
)
_GENERATION = (
    "INSERT INTO loader.generations (generation, tenant, status, reason) "
    "VALUES (1, $1, 'refused', 'too few rows')"
)
_RECIPE = (
    "INSERT INTO loader.generation_recipes (generation, recipe, rows, rejected) "
    "VALUES (1, 'popularity', 1, 0)"
)
_ACTIVE = "INSERT INTO loader.active (tenant, recipe, generation, activation) VALUES ($1, 'popularity', 1, 1)"
_SELECTIONS = (
    "INSERT INTO analytics.report_selections (tenant, selection, is_usual, computed_at) "
    "SELECT $1, selection, true, now() FROM unnest($2::text[]) AS selection"
)
_NAMES = (
    "INSERT INTO analytics.reports (tenant, selection, name, rows, total, summary) VALUES "
    "($1, $2, 'names', '[]', 0, '{\"categories\": [], \"provinces\": [], \"cities\": []}'), "
    "($1, $2, 'cities', '[{\"city\": \"Lahore\", \"order_count\": 1}]', 1, '{}')"
)
_TABLE = (
    "INSERT INTO analytics.query_tables (tenant, name, place, columns) VALUES ($1, 'made', 's3://a/b', '[]')"
)
MAPPING = {
    "source": "till",
    "columns": {"item_id": "item_id", "name": "name"},
    "constants": {"currency": "EUR"},
    "date_formats": ["%d.%m.%Y"],
    "timezone": "Europe/Berlin",
    "decimal": ".",
    "delimiter": ",",
    "encoding": "utf-8",
    "cancellation_prefix": "C",
    "service_codes": ["POSTAGE"],
    "whole_user_ids": True,
}
ROWS = {
    "orders": "order_id,ordered_at,product_id,quantity,price\no1,2026-01-01T00:00:00Z,i1,1,2.5\n",
    "items": "item_id,name,category,price\ni1,Tea,shelf-1,2.5\n",
}
SOURCE = {
    "kind": "webhook",
    "format": "generic",
    "mappings": [{"kind": "users", "fields": {"user_id": "$.id"}}],
}
ERP = {"kind": "erp", "base_url": "http://127.0.0.1:1"}
_SURFACES = {
    "experiment": "recommendations",
    "stopping": "campaign/stopping",
    "deciding": "campaign/deciding",
    "stopped": "campaign/stopped",
    "decided": "campaign/decided",
    "placed": "placement/product",
}
"""The experiments that are started, and where each of them runs."""


def other_services(installation: Installation) -> dict[str, str]:
    """Make the resources; gives their names by kind."""
    tenant, request = installation.tenant.name, installation.request
    run = request("POST", "trainer", "/v1/runs", json={"reason": "test"})
    request("PUT", "trainer", "/v1/schedules/home", json={"cron": "0 2 * * *"})
    accepted = request(
        "POST",
        "sync",
        "/v1/imports",
        data={"kind": "items"},
        files={"file": ("a.csv", ROWS["items"].encode())},
    )
    installation.execute(
        (_ITEMS, tenant),
        (_USER, tenant),
        (_ORDER, tenant, datetime.now(UTC)),
        (_GENERATION, tenant),
        (_RECIPE,),
        (_ACTIVE, tenant),
        (_TABLE, tenant),
        (_SELECTIONS, tenant, [selection.key for selection in usual_selections([])]),
        (_NAMES, tenant, Selection().key),
    )
    sources = {
        name: request(
            "POST", "sync", "/v1/sources", json={"name": name, "config": SOURCE, "secrets": {"secret": "s"}}
        )
        for name in ("web", "spare-source")
    }
    request("POST", "sync", "/v1/sources", json={"name": "erp", "config": ERP, "secrets": {"token": "t"}})
    installation.execute((_DELIVERY, tenant))
    keys = {
        name: str(request("POST", "engine", "/v1/keys", json={"kind": "read", "label": name})["id"])
        for name in ("key", "spare-key")
    }
    request("PUT", "trainer", "/v1/schedules/kept", json={"cron": "0 2 * * *"})
    request("PUT", "engine", "/v1/placements/spare", json={"strategies": [{"strategy": "popular"}]})
    started = request(
        "POST",
        "analytics",
        "/",
        json={"QueryString": "SELECT item_id FROM items"},
        headers={"x-amz-target": "AmazonAthena.StartQueryExecution"},
    )
    return {
        **keys,
        "query": started["QueryExecutionId"],
        "read-key": installation.tenant.read,
        **_experiments(request),
        "run": str(run["id"]),
        "sync-import": accepted["id"],
        "source-id": str(sources["web"]["id"]),
        "spare-placement": "spare",
        **_dead_letter(installation),
    }


def _experiments(request: Callable[..., Any]) -> dict[str, str]:
    """Make a draft, and an experiment for each change that ends one."""
    variants = [{"name": "a"}, {"name": "b", "strategy": "popularity"}]
    for name, surface in {**_SURFACES, "draft": "recommendations"}.items():
        definition = {"name": name, "surface": surface, "variants": variants}
        request("POST", "router", "/v1/experiments", json=definition)
    for name in _SURFACES:
        request("POST", "router", f"/v1/experiments/{name}/start")
    request("POST", "router", "/v1/experiments/stopped/stop")
    request("POST", "router", "/v1/experiments/decided/decide", json={"reason": "Nothing differs."})
    until(
        lambda: request("GET", "recommender", "/api/v1/personalize/status")["experiments"],
        "the recommender knows the experiments",
        enough=lambda running: "placed" in running,
        every=0.5,
    )
    return {name: name for name in (*_SURFACES, "draft")}


def _dead_letter(installation: Installation) -> dict[str, str]:
    """Write the dead letter of an interaction, and return its id and its value."""
    event = interaction(tenant=installation.tenant.name)
    asyncio.run(bury(installation.kafka, encoded(event, "tracker", ""), 0))
    listed = installation.request("GET", "engine", "/v1/dead-letters", params={"topic": INTERACTIONS.name})
    return {"dead-letter": str(listed["dead_letters"][0]["id"]), "mended": event.model_dump_json()}
