"""The views that queries read: their sources, and their columns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pyarrow as pa

_TEXT, _TIME, _NUMBER = pa.string(), pa.timestamp("us", "UTC"), pa.float64()

SOURCES: Final = {
    "interactions": "interactions",
    "orders": "orders",
    "order_items": "orders",
    "servings": "servings",
    "exposures": "exposures",
    "items": "items",
    "users": "users",
}
"""The table behind each view."""

_ITEMS: Final[list[tuple[str, pa.DataType]]] = [
    ("item_id", _TEXT),
    ("name", _TEXT),
    ("category", _TEXT),
    ("price", _NUMBER),
    ("currency", _TEXT),
    ("available", pa.bool_()),
    ("created_at", _TIME),
    ("attributes", _TEXT),
    ("updated_at", _TIME),
]
_USERS: Final[list[tuple[str, pa.DataType]]] = [
    ("user_id", _TEXT),
    ("name", _TEXT),
    ("city", _TEXT),
    ("province", _TEXT),
    ("country", _TEXT),
    ("attributes", _TEXT),
    ("updated_at", _TIME),
]
CATALOGUE_SCHEMAS: Final = {"items": pa.schema(_ITEMS), "users": pa.schema(_USERS)}
"""The columns of the catalogue, which come from the views of sync; `attributes` is JSON."""

_PARTS = re.split(r"^-- (\w+) --$", Path(__file__).with_suffix(".duckdb").read_text(), flags=re.MULTILINE)[1:]
VIEW_QUERIES: Final = dict(zip(_PARTS[::2], map(str.strip, _PARTS[1::2]), strict=True))
"""The definition of each view over `source_<table>`."""
