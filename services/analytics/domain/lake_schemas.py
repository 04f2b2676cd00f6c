"""The columns of the event lake's tables.

Every row has the day `dt` (UTC) of its event, by which files are partitioned, and the partition and offset of
its Kafka record.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

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


def _columns(**columns: pa.DataType) -> pa.Schema:
    listed: list[tuple[str, pa.DataType]] = [*columns.items(), *_POSITION]
    return pa.schema(listed)


SCHEMAS: Final = {
    "interactions": _columns(
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
    "orders": _columns(
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
    "servings": _columns(
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
        propensity=_NUMBER,
        scores=pa.list_(_NUMBER),
    ),
    "exposures": _columns(
        event_id=_TEXT,
        occurred_at=_TIME,
        experiment=_TEXT,
        experiment_version=_COUNT,
        variant=_TEXT,
        unit=_TEXT,
        surface=_TEXT,
        recommendation_id=_TEXT,
        item_ids=_TEXTS,
        propensity=_NUMBER,
    ),
}
