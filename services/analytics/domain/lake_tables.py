"""The tables of the event lake: their columns, and the rows of events.

Every row has the day `dt` (UTC) of its event, by which files are partitioned, and the partition and offset of
its Kafka record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import pyarrow as pa

from services.analytics.domain.lake_schemas import SCHEMAS
from shared.events import InteractionRecorded, OrderCancelled, OrderPlaced, OrderRefunded, VariantExposed
from shared.events.servings import RecommendationServed
from shared.events.topics import EXPOSURES, INTERACTIONS, ORDERS, SERVINGS, Topic

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LakeTable:
    """A table: its topic, its columns, the column that names a row, and those that name a person."""

    name: str
    topic: Topic
    schema: pa.Schema
    id_column: str
    persons: tuple[str, ...]
    rows: Callable[[Any], Iterator[Row]]


def _interactions(event: InteractionRecorded) -> Iterator[Row]:
    """Yield the row of an event; a correction repeats an order line that has a record of its own.

    The reason to keep an event out of personalization is among its properties.
    """
    if event.replaces is None:
        row = {name: getattr(event, name) for name in INTERACTION_FIELDS}
        row["impression"] = None if event.impression is None else [*event.impression]
        properties = event.properties
        if event.withheld is not None:
            properties = {**(properties or {}), "withheld": event.withheld}
        row["properties"] = None if properties is None else orjson.dumps(properties).decode()
        yield row


def _orders(event: OrderPlaced | OrderCancelled | OrderRefunded) -> Iterator[Row]:
    row = {name: getattr(event, name) for name in _ORDER_FIELDS}
    row["kind"] = {OrderPlaced: "placed", OrderCancelled: "cancelled", OrderRefunded: "refunded"}[type(event)]
    row["refers_to"] = getattr(event, "cancels", None) or getattr(event, "refunds", None)
    row["amount"] = getattr(event, "amount", None)
    row["lines"] = [line.model_dump() for line in event.lines]
    yield row


def _servings(event: RecommendationServed) -> Iterator[Row]:
    for serving in event.servings:
        if serving.shadow is not None:
            continue  # nobody saw it
        row = {name: getattr(serving, name) for name in _SERVING_FIELDS}
        row |= {name: [*getattr(serving, name)] for name in ("item_ids", "strategies", "rules", "scores")}
        row["request"] = orjson.dumps(serving.request).decode()
        row["occurred_at"] = serving.served_at
        yield row


def _exposures(event: VariantExposed) -> Iterator[Row]:
    if event.differs:
        return  # the day's exposure has a record of its own
    row = {name: getattr(event, name) for name in _EXPOSURE_FIELDS}
    row["item_ids"] = [*event.item_ids]
    yield row


INTERACTION_FIELDS: Final = (
    *(
        "event_id",
        "occurred_at",
        "received_at",
        "user_id",
        "session_id",
        "event_type",
        "sender_type",
        "item_id",
    ),
    *(
        "value",
        "quantity",
        "price",
        "order_id",
        "recommendation_id",
        "attribution_source",
        "city",
        "province",
    ),
    *("country", "source", "historical"),
)
_ORDER_FIELDS: Final = (
    *("event_id", "occurred_at", "order_id", "user_id", "customer_name", "city", "province", "country"),
    *("currency", "source", "historical"),
)
_SERVING_FIELDS: Final = (
    *("recommendation_id", "surface", "user_id", "session_id", "placement", "revision", "target", "source"),
    *("generation", "model_sha256", "experiment", "experiment_version", "variant", "history_events"),
    *("newest_event_at", "propensity"),
)
_EXPOSURE_FIELDS: Final = (
    *("event_id", "occurred_at", "experiment", "experiment_version", "variant", "unit", "surface"),
    *("recommendation_id", "propensity"),
)

TABLES: Final = (
    LakeTable(
        "interactions",
        INTERACTIONS,
        SCHEMAS["interactions"],
        "event_id",
        ("user_id", "session_id"),
        _interactions,
    ),
    LakeTable(
        "orders",
        ORDERS,
        SCHEMAS["orders"],
        "event_id",
        ("user_id",),
        _orders,
    ),
    LakeTable(
        "servings",
        SERVINGS,
        SCHEMAS["servings"],
        "recommendation_id",
        ("user_id", "session_id"),
        _servings,
    ),
    LakeTable(
        "exposures",
        EXPOSURES,
        SCHEMAS["exposures"],
        "event_id",
        ("unit",),
        _exposures,
    ),
)
BY_NAME: Final = {table.name: table for table in TABLES}


def happened_by(row: Row) -> datetime:
    """Return the time of a row as erasures compare it: not later than its event was received."""
    occurred_at: datetime = row["occurred_at"]
    return min(occurred_at, row.get("received_at") or occurred_at)


def rows_of(table: LakeTable, event: Any, partition: int, offset: int) -> list[Row]:
    """Return the rows of an event and its record."""
    return [
        {
            **row,
            "dt": row["occurred_at"].date().isoformat(),
            "kafka_partition": partition,
            "kafka_offset": offset,
        }
        for row in table.rows(event)
    ]
