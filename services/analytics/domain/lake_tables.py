"""The tables of the event lake: their columns, and the rows of events.

Every row has the day `dt` (UTC) of its event, by which files are partitioned, and the partition and offset of
its Kafka record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pyarrow as pa

from shared.events import InteractionRecorded, OrderCancelled, OrderPlaced, OrderRefunded, VariantExposed
from shared.events.servings import RecommendationServed
from shared.events.topics import EXPOSURES, INTERACTIONS, ORDERS, SERVINGS, Topic

_TEXT, _TIME, _NUMBER, _COUNT = pa.string(), pa.timestamp("us", "UTC"), pa.float64(), pa.int64()
_TEXTS = pa.list_(_TEXT)
_LINES = pa.list_(
    pa.struct(
        [
            ("item_id", _TEXT),
            ("n", pa.int32()),
            ("name", _TEXT),
            ("category", _TEXT),
            ("quantity", _NUMBER),
            ("price", _NUMBER),
        ]
    )
)
_POSITION: Final[list[tuple[str, pa.DataType]]] = [
    ("kafka_partition", pa.int32()),
    ("kafka_offset", _COUNT),
    ("dt", _TEXT),
]

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


def _columns(**columns: pa.DataType) -> pa.Schema:
    listed: list[tuple[str, pa.DataType]] = [*columns.items(), *_POSITION]
    return pa.schema(listed)


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
        row |= {name: [*getattr(serving, name)] for name in ("item_ids", "strategies", "rules")}
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
    "newest_event_at",
)
_EXPOSURE_FIELDS: Final = (
    *("event_id", "occurred_at", "experiment", "experiment_version", "variant", "unit", "surface"),
    "recommendation_id",
)

TABLES: Final = (
    LakeTable(
        "interactions",
        INTERACTIONS,
        _columns(
            event_id=_TEXT,
            occurred_at=_TIME,
            received_at=_TIME,
            user_id=_TEXT,
            session_id=_TEXT,
            event_type=_TEXT,
            sender_type=_TEXT,
            item_id=_TEXT,
            value=_NUMBER,
            quantity=_NUMBER,
            price=_NUMBER,
            order_id=_TEXT,
            recommendation_id=_TEXT,
            impression=_TEXTS,
            attribution_source=_TEXT,
            properties=_TEXT,
            city=_TEXT,
            province=_TEXT,
            country=_TEXT,
            source=_TEXT,
            historical=pa.bool_(),
        ),
        "event_id",
        ("user_id", "session_id"),
        _interactions,
    ),
    LakeTable(
        "orders",
        ORDERS,
        _columns(
            event_id=_TEXT,
            kind=_TEXT,
            occurred_at=_TIME,
            order_id=_TEXT,
            refers_to=_TEXT,
            user_id=_TEXT,
            customer_name=_TEXT,
            city=_TEXT,
            province=_TEXT,
            country=_TEXT,
            currency=_TEXT,
            amount=_NUMBER,
            source=_TEXT,
            historical=pa.bool_(),
            lines=_LINES,
        ),
        "event_id",
        ("user_id",),
        _orders,
    ),
    LakeTable(
        "servings",
        SERVINGS,
        _columns(
            recommendation_id=_TEXT,
            occurred_at=_TIME,
            surface=_TEXT,
            user_id=_TEXT,
            session_id=_TEXT,
            placement=_TEXT,
            revision=_COUNT,
            target=_TEXT,
            item_ids=_TEXTS,
            strategies=_TEXTS,
            source=_TEXT,
            generation=_COUNT,
            model_sha256=_TEXT,
            experiment=_TEXT,
            experiment_version=_COUNT,
            variant=_TEXT,
            history_events=_COUNT,
            newest_event_at=_TIME,
            rules=_TEXTS,
            request=_TEXT,
        ),
        "recommendation_id",
        ("user_id", "session_id"),
        _servings,
    ),
    LakeTable(
        "exposures",
        EXPOSURES,
        _columns(
            event_id=_TEXT,
            occurred_at=_TIME,
            experiment=_TEXT,
            experiment_version=_COUNT,
            variant=_TEXT,
            unit=_TEXT,
            surface=_TEXT,
            recommendation_id=_TEXT,
            item_ids=_TEXTS,
        ),
        "event_id",
        ("unit",),
        _exposures,
    ),
)
BY_NAME: Final = {table.name: table for table in TABLES}


def rows_of(table: LakeTable, event: Any, partition: int, offset: int) -> list[Row]:
    """Return the rows of an event and its record."""
    return [
        {
            **row,
            "dt": f"{row['occurred_at']:%Y-%m-%d}".rjust(10, "0"),
            "kafka_partition": partition,
            "kafka_offset": offset,
        }
        for row in table.rows(event)
    ]
