"""Intakes of values: each takes a value and gives what it accepted, or the sentence of its refusal."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from pydantic import ValidationError

from services.engine.computations import csv_reader
from services.engine.domain.schemas import Column, Schema
from services.router.domain.experiments import Definition
from services.sync.domain import builtin_mappings
from services.sync.domain.catalogue import State, merge_put
from services.sync.domain.cells import RowRejected
from services.sync.domain.file_orders import StagedLine
from services.sync.domain.mapping import Kind, find_columns
from services.sync.domain.order_rows import order_row_parser
from services.sync.domain.orders import assemble_orders
from services.sync.domain.rows import interaction_row_parser, item_row_parser
from services.tracker.api.events import ROUTE
from services.tracker.domain.batch import parse_events
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import Rejected
from services.tracker.domain.personalize import item_puts
from services.tracker.domain.wire_format import ClientRequest
from shared.aws import WireError
from shared.aws.personalize.events import PutItemsRequest
from shared.errors import Permanent
from shared.events import ItemPut, UserPut
from shared.kafka import encoded

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def context() -> IngestContext:
    numbers = count(1)
    return IngestContext("shop", NOW, NOW - timedelta(days=7300), lambda: f"new-{next(numbers)}")


def posted(body: str) -> list[Any]:
    """The events of a body of POST /v1/events, each an interaction or why it was rejected."""
    request = ClientRequest(ROUTE.path, {}, {}, body.encode())
    return parse_events(ROUTE.read(request).records, context(), max_bytes=None)


def accepted(found: Any) -> Any:
    if isinstance(found, Rejected):
        raise Permanent(found.reason)
    return found


def an_event(**members: str) -> str:
    said = {"user_id": '"u"', "event_type": '"view"', "item_id": '"i"', **members}
    return f"{{{', '.join(f'{json.dumps(name)}: {text}' for name, text in said.items())}}}"


def item_of(properties: str) -> dict[str, Any]:
    """The fields of an item as the tracker accepts them and sync then merges them."""
    request = {"datasetArn": "arn:aws:personalize:eu-west-1:0:dataset/shop/ITEMS"}
    request |= {"items": [{"itemId": "i", "properties": properties}]}  # type: ignore[dict-item]
    (put,) = item_puts(PutItemsRequest.model_validate(request), context(), None, None)
    return merged(put).fields


def merged(put: ItemPut | UserPut) -> State:
    """The state that sync makes of a put, from the put as it lies in Kafka."""
    state = State("i", is_new=True)
    merge_put(state, type(put).model_validate_json(encoded(put, "tracker", "").value or b""), NOW)
    return state


def a_row(kind: Kind, **cells: str) -> Any:
    made = {"orders": order_row_parser, "items": item_row_parser}.get(kind)
    names = list(cells)
    places = find_columns(builtin_mappings.ENDCAP, kind, names)
    if made is None:
        reader: Any = interaction_row_parser(
            builtin_mappings.ENDCAP, places, len(names), tenant="shop", received_at=NOW
        )
    else:
        reader = made(builtin_mappings.ENDCAP, places, len(names))
    return reader(list(cells.values()))


def an_order(**cells: str) -> Any:
    said = {"order_id": "1", "ordered_at": "2026-03-01", "product_id": "a", "quantity": "1", "price": "1"}
    return a_row("orders", **said | cells)


def ordered_at(text: str) -> Any:
    """The time of an order of one row: a row without one is refused when its order is settled."""
    ((order, rejected),) = assemble_orders([StagedLine(2, an_order(ordered_at=text))])
    if order is None:
        raise RowRejected(rejected[0].code, rejected[0].detail)
    return order.ordered_at


def imported(kind: str, text: str, **column: str) -> Any:
    """A cell of a CSV file of the engine."""
    name = column.get("name", "EVENT_VALUE")
    schema = Schema((Column("ITEM_ID", "string"), Column(name, kind, nullable=True)))
    stream: Any = io.BufferedReader(io.BytesIO(f"ITEM_ID,{name}\ni,{text}\n".encode()))  # type: ignore[type-var]
    (batch,) = csv_reader.batches(stream, schema, "a.csv")
    return batch.column(1).to_pylist()[0]


def an_experiment(**fields: Any) -> Definition:
    variants = [{"name": "a"}, {"name": "b"}]
    said = {"name": "x", "surface": "recommendations", "variants": variants} | fields
    return Definition.model_validate(said)


REFUSALS = (Permanent, RowRejected, ValidationError, WireError)
