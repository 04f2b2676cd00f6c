"""Parse the rows of a file into interactions, and puts of items and users. `order_rows` parses order lines.

Each function reads the mapping once and returns a parser of rows, because a file has millions of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from services.sync.domain.attributes import attributes
from services.sync.domain.cells import (
    RowRejected,
    date_parser,
    identifier,
    number_parser,
    optional_bool,
    optional_identifier,
    optional_text,
)
from services.sync.domain.mapping import Kind, Layout, Mapping
from shared.events import InteractionRecorded, canonical_type, derived_id


class PutRow(NamedTuple):
    """The cells of a row about an item or user that are not empty."""

    id: str
    fields: dict[str, Any]
    attributes: dict[str, Any]


class CellIndex:
    """Column indexes of fields in a row to which `tail`, an empty cell and the constants, is appended."""

    def __init__(self, kind: Kind, mapping: Mapping, layout: Layout, width: int) -> None:
        self.kind = kind
        self.tail = ["", *mapping.constants.values()]
        self._indexes = {name: width + 1 + index for index, name in enumerate(mapping.constants)}
        self._indexes |= layout.columns
        self._empty = width

    def __contains__(self, field: str) -> bool:
        return field in self._indexes

    def __getitem__(self, field: str) -> int:
        return self._indexes.get(field, self._empty)


def item_row_parser(
    mapping: Mapping, layout: Layout, width: int, shortened: Counter[str] | None = None
) -> Callable[[list[str]], PutRow]:
    """Return the parser of items. It counts shortened cells in `shortened`, and raises RowRejected."""
    cut = Counter[str]() if shortened is None else shortened
    at = CellIndex("items", mapping, layout, width)
    parse_number, parse_date = number_parser(mapping), date_parser(mapping)

    def parse_row(cells: list[str]) -> PutRow:
        cells += at.tail
        created = cells[at["created_at"]]
        fields = {
            "name": optional_text(cells[at["name"]], "name"),
            "category": optional_text(cells[at["category"]], "category"),
            "price": parse_number(cells[at["price"]], "price"),
            "currency": optional_text(cells[at["currency"]], "currency"),
            "available": optional_bool(cells[at["available"]], "available"),
            "created_at": parse_date(created, "created_at") if created.strip() else None,
        }
        return _put(identifier(cells[at["item_id"]], "item_id"), fields, attributes(cells, layout, cut))

    return parse_row


def user_row_parser(
    mapping: Mapping, layout: Layout, width: int, shortened: Counter[str] | None = None
) -> Callable[[list[str]], PutRow]:
    """Return the parser of users. It counts shortened cells in `shortened`, and raises RowRejected."""
    cut = Counter[str]() if shortened is None else shortened
    at = CellIndex("users", mapping, layout, width)

    def parse_row(cells: list[str]) -> PutRow:
        cells += at.tail
        fields = {
            name: optional_text(cells[at[name]], name) for name in ("name", "city", "province", "country")
        }
        return _put(identifier(cells[at["user_id"]], "user_id"), fields, attributes(cells, layout, cut))

    return parse_row


def _put(identity: str, fields: dict[str, Any], row_attributes: dict[str, Any]) -> PutRow:
    return PutRow(
        identity, {name: value for name, value in fields.items() if value is not None}, row_attributes
    )


def interaction_row_parser(
    mapping: Mapping,
    layout: Layout,
    width: int,
    shortened: Counter[str] | None = None,
    *,
    tenant: str,
    received_at: datetime,
) -> Callable[[list[str]], InteractionRecorded]:
    """Return the parser of interactions. Rows without an id that are equal have the same id.

    It counts shortened cells in `shortened`, and raises RowRejected.
    """
    cut = Counter[str]() if shortened is None else shortened
    at = CellIndex("interactions", mapping, layout, width)
    parse_number, parse_date = number_parser(mapping), date_parser(mapping)

    def parse_row(cells: list[str]) -> InteractionRecorded:
        """Return the interaction of a row. Raises RowRejected."""
        cells += at.tail
        sender_type = identifier(cells[at["event_type"]], "event_type")
        fields: dict[str, Any] = {
            name: optional_identifier(cells[at[name]], name)
            for name in ("user_id", "session_id", "item_id", "event_id")
        }
        fields |= {name: parse_number(cells[at[name]], name) for name in ("value", "quantity", "price")}
        if not fields["user_id"] and not fields["session_id"]:
            raise RowRejected("missing_value", "user_id and session_id are both empty")
        occurred_at = parse_date(cells[at["timestamp"]], "timestamp")
        event_type, properties = canonical_type(sender_type), attributes(cells, layout, cut)
        identity = fields.pop("event_id") or _interaction_id(
            tenant, event_type, occurred_at, fields, properties
        )
        try:
            return InteractionRecorded(
                event_id=identity,
                tenant=tenant,
                occurred_at=occurred_at,
                event_type=event_type,
                sender_type=sender_type,
                properties=properties or None,
                source="import",
                received_at=received_at,
                historical=True,
                **fields,
            )
        except ValidationError as error:
            raise RowRejected("bad_value", error.errors()[0]["msg"]) from error

    return parse_row


def _interaction_id(
    tenant: str,
    event_type: str,
    occurred_at: datetime,
    fields: dict[str, Any],
    properties: dict[str, Any],
) -> str:
    content = orjson.dumps([fields, properties], option=orjson.OPT_SORT_KEYS).decode()
    return derived_id(tenant, "interaction", event_type, occurred_at, content)
