"""Right values of the routes of analytics."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.fuzz.targets import Known


def report_values(made: Mapping[str, str]) -> dict[str, Known]:
    """Values that are right for one route of analytics alone."""
    whole: Known = {
        "time_filter": ["all"],
        "delivered_only": ["false"],
        **{name: [""] for name in ("province", "city", "category", "categories", "order_source")},
    }
    path = "analytics GET /api/v1"
    return {
        "analytics AWSGlue.DeleteTable": {"Name": ["made"]},
        "analytics POST /v1/sql": {"query": ["SELECT item_id FROM items LIMIT 1"]},
        "analytics POST /api/v1/auth/login": {"email": ["ann@shop.example"], "password": [made["read-key"]]},
        f"{path}/ml/precomputed/{{key}}": {"key": ["top_products"]},
        f"{path}/analytics/customers/segment-details/{{name}}": {"name": ["Lost", "champions"]},
        f"{path}/analytics/geographic/city-performance/{{name}}": {**whole, "name": ["Lahore"]},
    }
