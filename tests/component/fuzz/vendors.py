"""Right values of the routes that clients of vendors call."""

from __future__ import annotations

from tests.support.fuzz.documents import Embedded
from tests.support.fuzz.targets import Known


def vendor_values() -> dict[str, Known]:
    """Right values of the routes of vendors' clients."""
    call: Known = {
        "event": ["Product Viewed"],
        "anonymousId": ["session"],
        "previousId": ["session"],
        "properties": [{"product_id": "i1"}],
    }
    snowplow: Known = {"e": ["pv", "se"], "uid": ["u1"], "se_ac": ["search"], **_described_by_snowplow()}
    ga4: Known = {
        "client_id": ["session"],
        "name": ["view_item"],
        "params": [{"items": [{"item_id": "i1"}]}],
        "timestamp_micros": [1_790_000_000_000_000],
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
        **{f"tracker GET /pixel/v1/{kind}": call for kind in ("track", "page")},
        **{f"tracker POST {path}": {**call, "distinct_id": ["u1"]} for path in ("/batch/", "/capture/")},
        **{f"tracker {route}": snowplow for route in ("GET /i", "POST /com.snowplowanalytics.snowplow/tp2")},
        **{f"tracker POST {path}": ga4 for path in ("/mp/collect", "/debug/mp/collect")},
    }


def _described_by_snowplow() -> Known:
    """Events and entities with their schemas, as JSON."""
    product = "iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-0-0"
    action = {"schema": "iglu:com.acme/search/jsonschema/1-0-0", "data": {"query": "tea"}}
    entities = [{"schema": product, "data": {"id": "i1"}}]
    return {
        "ue_pr": [Embedded({"schema": "iglu:u/unstruct_event/jsonschema/1-0-0", "data": action})],
        "co": [Embedded({"schema": "iglu:c/contexts/jsonschema/1-0-0", "data": entities})],
        "ue_px": [None],
        "cx": [None],
    }
