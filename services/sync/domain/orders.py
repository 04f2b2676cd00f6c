"""Assemble the lines of a file into orders with numbered lines, a hash of the content, and an event.

All lines of an order are in one file. If one of them is rejected, the whole order is, so that a corrected
file can bring it. Cells that apply to the whole order, such as its date, may be in some of its rows only. An
order with a known id is a duplicate if the hash is equal; otherwise its lines are rejected, because its event
has been published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from services.sync.domain.cells import RowRejected
from services.sync.domain.file_orders import Item, Order, StagedLine
from services.sync.domain.order_rows import INHERITED_KIND, ORDER, OrderRow, signed_quantity

MAX_ORDER_LINES = 5_000
MAX_ORDER_BYTES = 800_000
"""Lines and bytes of one order, so that its event is smaller than the limit of a Kafka record."""

INCOMPLETE_CODE = "order_incomplete"
"""The code of lines that are rejected because another line of their order is."""

INCOMPLETE_REASON = (
    "order %s is not imported because its line %s is rejected; correct that line and send the order again"
)

TOO_LARGE_REASON = f"order %s is larger than {MAX_ORDER_LINES:,} lines or {MAX_ORDER_BYTES:,} bytes; split it"


class RejectedLine(NamedTuple):
    """A line that is not imported: its line in the file, the code and the sentence of the reason."""

    file_line: int
    code: str
    detail: str


def assemble_orders(lines: Iterable[StagedLine]) -> Iterator[tuple[Order | None, list[RejectedLine]]]:
    """Yield each order with its rejected lines; the lines are sorted by order id.

    An order and its cancellation may have the same id.
    """
    for _, group in groupby(lines, lambda line: line.row.order_id):
        with_kind, rejected = _inherit_kinds(list(group))
        if rejected:
            yield None, rejected
        with_kind.sort(key=lambda line: line.row.kind, reverse=True)
        for _, same in groupby(with_kind, lambda line: line.row.kind):
            yield _assemble(list(same))


def _inherit_kinds(lines: list[StagedLine]) -> tuple[list[StagedLine], list[RejectedLine]]:
    """Give rows without a kind that of the preceding row; reject those with a quantity that it excludes."""
    if all(line.row.kind != INHERITED_KIND for line in lines):
        return lines, []
    lines.sort()
    kind = next((line.row.kind for line in lines if line.row.kind != INHERITED_KIND), ORDER)
    with_kind: list[StagedLine] = []
    rejected: list[RejectedLine] = []
    for line in lines:
        if line.row.kind != INHERITED_KIND:
            kind = line.row.kind
            with_kind.append(line)
            continue
        try:
            row = line.row._replace(kind=kind, quantity=signed_quantity(line.row.quantity, kind))
        except RowRejected as error:
            rejected.append(RejectedLine(line.file_line, error.code, error.detail))
        else:
            with_kind.append(line._replace(row=row, is_filled=True))
    return with_kind, rejected


def _assemble(lines: list[StagedLine]) -> tuple[Order | None, list[RejectedLine]]:
    first = lines[0].row
    serialized = _serialized(lines)
    # Each line of the event has about 60 bytes of names that the row does not have.
    if len(lines) > MAX_ORDER_LINES or sum(map(len, serialized)) + 60 * len(serialized) > MAX_ORDER_BYTES:
        sentence = TOO_LARGE_REASON % first.order_id
        return None, [RejectedLine(line.file_line, "order_too_large", sentence) for line in lines]
    lines.sort(key=_line_number_key)
    lines, repeated = _drop_repeated(lines)
    if errors := _line_errors(lines):
        return None, [*repeated, *_reject_all(lines, errors)]
    order_fields = _order_fields([line.row for line in lines])
    lines = [_fill_blanks(line, order_fields) for line in lines]
    rows = [line.row for line in lines]
    filled_lines = tuple(line for line in lines if line.is_filled)
    unfilled_content = _hash(serialized)
    return (
        Order(
            kind=first.kind,
            order_id=first.order_id,
            content=_hash(_serialized(lines)) if repeated or filled_lines else unfilled_content,
            items=tuple(_numbered_items(rows)),
            file_lines=tuple(line.file_line for line in lines),
            unfilled_content=unfilled_content,
            filled_lines=filled_lines,
            **order_fields,
        ),
        repeated,
    )


def _line_number_key(line: StagedLine) -> tuple[int, int]:
    position = line.row.position
    return (line.file_line if position is None else position, line.file_line)


def _serialized(lines: Sequence[StagedLine]) -> list[bytes]:
    return sorted(orjson.dumps((*line.row[:2], *line.row[3:])) for line in lines)


def _hash(serialized: list[bytes]) -> bytes:
    return hashlib.sha256(b"\n".join(serialized)).digest()


def _order_fields(rows: Sequence[OrderRow]) -> dict[str, Any]:
    """Return the fields of the whole order: the first value of each, and the earliest time."""
    return {
        "user_id": _first([row.user_id for row in rows]),
        "customer_name": _first([row.customer_name for row in rows]),
        "city": _first([row.city for row in rows]),
        "province": _first([row.province for row in rows]),
        "country": _first([row.country for row in rows]),
        "currency": _first([row.currency for row in rows]),
        "ordered_at": min(row.ordered_at for row in rows if row.ordered_at is not None),
    }


def _fill_blanks(line: StagedLine, order_fields: dict[str, Any]) -> StagedLine:
    """Return the line with the order's values in its empty cells, or the same line if there are none."""
    row = line.row
    blank = {
        name: value
        for name, value in order_fields.items()
        if value is not None and getattr(row, name) is None
    }
    return line._replace(row=row._replace(**blank), is_filled=True) if blank else line


def _drop_repeated(lines: list[StagedLine]) -> tuple[list[StagedLine], list[RejectedLine]]:
    """Return the lines without exact repetitions of a line number, and the repetitions."""
    kept: list[StagedLine] = []
    repeated: list[RejectedLine] = []
    rows: dict[int, OrderRow] = {}
    for line in lines:
        row = line.row
        if row.position is not None and rows.get(row.position) == row:
            sentence = f"line {row.position} of order {row.order_id} is in the file twice"
            repeated.append(RejectedLine(line.file_line, "line_repeated", sentence))
            continue
        kept.append(line)
        if row.position is not None:
            rows.setdefault(row.position, row)
    return kept, repeated


def _line_errors(lines: list[StagedLine]) -> list[RejectedLine]:
    """Return the lines that make the order invalid."""
    order_id = lines[0].row.order_id
    if all(line.row.ordered_at is None for line in lines):
        sentence = f"no row of order {order_id} has ordered_at"
        return [RejectedLine(line.file_line, "missing_value", sentence) for line in lines]
    errors: list[RejectedLine] = []
    positions: set[int] = set()
    user_id = _first([line.row.user_id for line in lines])
    for line in lines:
        row = line.row
        if row.position is not None and row.position in positions:
            sentence = f"line {row.position} of order {order_id} is in the file twice, with different content"
            errors.append(RejectedLine(line.file_line, "line_repeated", sentence))
        elif row.user_id not in {None, user_id}:
            sentence = f"order {order_id} has user {user_id} on another line"
            errors.append(RejectedLine(line.file_line, "order_inconsistent", sentence))
        if row.position is not None:
            positions.add(row.position)
    return errors


def _reject_all(lines: list[StagedLine], errors: list[RejectedLine]) -> list[RejectedLine]:
    reasons = {error.file_line: error for error in errors}
    sentence = INCOMPLETE_REASON % (lines[0].row.order_id, errors[0].file_line)
    return [
        reasons.get(line.file_line) or RejectedLine(line.file_line, INCOMPLETE_CODE, sentence)
        for line in lines
    ]


def _numbered_items(rows: list[OrderRow]) -> Iterator[Item]:
    counts: dict[str, int] = {}
    for row in rows:
        n = counts[row.product_id] = counts.get(row.product_id, 0) + 1
        yield Item(row, n)


def _first(values: Sequence[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def rejected_as_changed(order: Order) -> list[RejectedLine]:
    """Return all lines of an order as rejected because it was imported before with different content."""
    sentence = (
        f"{order.kind} {order.order_id} was imported before with different content; "
        "an order must be in one file"
    )
    return [RejectedLine(line, "order_changed", sentence) for line in order.file_lines]
