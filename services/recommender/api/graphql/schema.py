"""The schema of the GraphQL API, from its SDL file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from graphql import build_schema

SCHEMA: Final = build_schema(Path(__file__).with_name("schema.graphql").read_text())

FIELDS: Final = {
    "Recommendation": ("userId", "itemId", "score", "category", "timestamp"),
    "RecommendationConnection": ("items", "nextToken", "recommendationId"),
    "PlacementItem": ("itemId", "score", "category", "algorithm", "strategy"),
    "PlacementAnswer": (
        "placement",
        "revision",
        "items",
        "source",
        "generation",
        "recommendationId",
        "experiment",
        "variant",
    ),
}
"""The fields of each type in the order of the tuples that resolvers return; see `projection`."""
