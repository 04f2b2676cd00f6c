"""Right values of the routes that clients of vendors call."""

from __future__ import annotations

import base64

import orjson

from tests.support.fuzz.targets import Known


def vendor_values() -> dict[str, Known]:
    """Right values of the routes of vendors' clients."""
    call: Known = {
        "event": ["Product Viewed"],
        "anonymousId": ["session"],
        "previousId": ["session"],
        "properties": [{"product_id": "i1"}],
    }
    snowplow: Known = {"e": ["pv"], "uid": ["u1"], **_described_by_snowplow()}
    ga4: Known = {
        "client_id": ["session"],
        "name": ["view_item"],
        "params": [{"items": [{"item_id": "i1"}]}],
        "timestamp_micros": [1_790_000_000_000_000],
    }
    posthog: Known = {
        "event": ["search"],
        "distinct_id": ["u1"],
        "properties": [{"distinct_id": "u1", "product_id": "i1"}],
    }
    batch: Known = {**call, "type": ["track", "identify", "page"]}
    return {
        **{
            f"tracker POST /v1/{kind}": call
            for kind in ("track", "identify", "page", "screen", "group", "alias")
        },
        **{f"tracker POST {path}": batch for path in ("/v1/batch", "/v1/import", "/beacon/v1/batch")},
        "tracker PUT /v1/intake-rules": {
            "event_types": [{"Artikel gesehen": "view"}],
            "internal_networks": [["192.0.2.0/24"]],
            "bot_agents": [["monitor"]],
            "internal_users": [["staff"]],
        },
        **{f"tracker GET /pixel/v1/{kind}": {**call, "event": ["search"]} for kind in ("track", "page")},
        **{f"tracker POST {path}": posthog for path in ("/batch/", "/capture/")},
        **{f"tracker {route}": snowplow for route in ("GET /i", "POST /com.snowplowanalytics.snowplow/tp2")},
        **{f"tracker POST {path}": ga4 for path in ("/mp/collect", "/debug/mp/collect")},
    }


def _described_by_snowplow() -> Known:
    """Events and entities with their schemas, as JSON."""
    product = "iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-0-0"
    action = {"schema": "iglu:com.acme/search/jsonschema/1-0-0", "data": {"query": "tea"}}
    event = orjson.dumps({"schema": "iglu:u/unstruct_event/jsonschema/1-0-0", "data": action})
    entities = orjson.dumps(
        {"schema": "iglu:c/contexts/jsonschema/1-0-0", "data": [{"schema": product, "data": {"id": "i1"}}]}
    )
    return {
        "ue_pr": [event.decode()],
        "ue_px": [base64.urlsafe_b64encode(event).decode()],
        "co": [entities.decode()],
        "cx": [base64.urlsafe_b64encode(entities).decode()],
    }
