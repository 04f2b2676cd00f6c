"""The charts of the page of reports: sales by month, and the graph of products."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Row = Mapping[str, Any]

RADIUS = 100.0
_LABEL_RADIUS = RADIUS + 5


def monthly(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the months of a trend in seconds since 1970, with their revenue and orders as series."""
    return {
        "times": [int(datetime.fromisoformat(row["period"]).replace(tzinfo=UTC).timestamp()) for row in rows],
        "revenue": [{"name": "revenue", "values": [row["total_revenue"] for row in rows]}],
        "orders": [{"name": "orders", "values": [row["total_orders"] for row in rows]}],
    }


def _label(degrees: float) -> dict[str, Any]:
    """Return the rotation, place and anchor of a name beside its node, which is never upside down."""
    is_left = 90 < degrees < 270
    return {
        "turn": round(degrees - 180 if is_left else degrees, 2),
        "label_x": -_LABEL_RADIUS if is_left else _LABEL_RADIUS,
        "anchor": "end" if is_left else "start",
    }


def circle(nodes: Sequence[Row], edges: Sequence[Row]) -> dict[str, Any]:
    """Return nodes at places on a circle, and edges between these with widths from 1 to 5."""
    places = {
        node["id"]: (
            round(RADIUS * math.cos(2 * math.pi * number / len(nodes)), 2),
            round(RADIUS * math.sin(2 * math.pi * number / len(nodes)), 2),
        )
        for number, node in enumerate(nodes)
    }
    most = max((edge["weight"] for edge in edges), default=1)
    return {
        "nodes": [
            {**node, "x": places[node["id"]][0], "y": places[node["id"]][1]}
            | _label(360 * number / len(nodes))
            for number, node in enumerate(nodes)
        ],
        "edges": [
            {
                **edge,
                "from": places[edge["source"]],
                "to": places[edge["target"]],
                "width": 1 + 4 * edge["weight"] / most,
            }
            for edge in edges
        ],
    }
