"""Staged rows of imports: they are processed sorted, not in the order of the file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from services.sync.domain.catalogue import parse_times, to_microseconds
from services.sync.domain.file_orders import StagedLine
from services.sync.domain.imports import Import, RejectCapacity
from services.sync.domain.order_rows import OrderRow
from services.sync.domain.orders import (
    INCOMPLETE_CODE,
    INCOMPLETE_REASON,
    MAX_ORDER_LINES,
    TOO_LARGE_REASON,
    RejectedLine,
)
from services.sync.domain.rows import PutRow
from services.sync.domain.table import MAX_RAW_CHARACTERS
from services.sync.store.statements import FILE_TIMEOUT_SECONDS, SQL

if TYPE_CHECKING:
    import asyncpg

    from shared.postgres import Connection, Database

_PAGE = 5_000
_LINES = ("import_id", "file_line", "raw", *OrderRow._fields)
_PUTS = ("import_id", "file_line", "id", "fields", "attributes")


class FieldUpdate(NamedTuple):
    """New fields and attributes of an item or user from a file; `at` is their time in µs since 1970.

    `line` is the line of an item or user file. It is None for order files, where several lines may agree.
    """

    id: str
    fields: dict[str, Any]
    attributes: dict[str, Any]
    at: int
    line: int | None = None


class RejectedCount(NamedTuple):
    """The numbers of rejected lines, of those stored for the report, and of their bytes."""

    rejected: int
    kept: int
    bytes: int


class Staging:
    """The staged rows of imports. Methods with a connection run in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_lines(
        self, connection: Connection, import_id: str, lines: Sequence[tuple[int, str, OrderRow]]
    ) -> None:
        """Stage order lines: (line of the file, raw row, parsed row)."""
        await connection.copy_records_to_table(
            "staged_lines",
            records=[(import_id, line, raw, *row) for line, raw, row in lines],
            columns=_LINES,
        )

    async def add_rejected_orders(
        self, connection: Connection, import_id: str, orders: Sequence[tuple[str, int]]
    ) -> None:
        """Stage the orders that have a rejected row: (order id, line of the file)."""
        await connection.copy_records_to_table(
            "staged_faults",
            records=[(import_id, *order) for order in orders],
            columns=("import_id", "order_id", "file_line"),
        )

    async def save_filled_lines(self, connection: Connection, lines: Sequence[StagedLine]) -> None:
        """Save the cells of staged order lines that were filled from other lines of their orders."""
        if not lines:
            return
        rows = [line.row for line in lines]
        await connection.execute(
            *SQL.save_filled_lines(
                ctids=[line.ctid for line in lines],
                kinds=[row.kind for row in rows],
                user_ids=[row.user_id for row in rows],
                customer_names=[row.customer_name for row in rows],
                ordered_ats=[row.ordered_at for row in rows],
                quantities=[row.quantity for row in rows],
                currencies=[row.currency for row in rows],
                cities=[row.city for row in rows],
                provinces=[row.province for row in rows],
                countries=[row.country for row in rows],
            ),
            timeout=FILE_TIMEOUT_SECONDS,
        )

    async def add_puts(
        self, connection: Connection, import_id: str, puts: Sequence[tuple[int, PutRow]]
    ) -> None:
        """Stage rows about items or users: (line of the file, parsed row)."""
        await connection.copy_records_to_table(
            "staged_puts",
            records=[(import_id, line, *put) for line, put in puts],
            columns=_PUTS,
        )

    async def count(self, import_id: str) -> int:
        """Return the number of staged rows of an import."""
        count = await self._database.pool.fetchval(
            *SQL.staged_count(import_id=import_id), timeout=FILE_TIMEOUT_SECONDS
        )
        return int(count)

    async def drop(self, connection: Connection, import_id: str) -> None:
        """Delete the staged rows of an import."""
        await connection.execute(*SQL.drop_staged(import_id=import_id), timeout=FILE_TIMEOUT_SECONDS)

    async def reject_lines(
        self,
        connection: Connection,
        import_id: str,
        rejected: Sequence[RejectedLine],
        capacity: RejectCapacity,
    ) -> RejectedCount:
        """Remove staged order lines; store the first ones for the report, within the capacity."""
        if not rejected:
            return RejectedCount(0, 0, 0)
        row = await connection.fetchrow(
            *SQL.reject_staged_lines(
                import_id=import_id,
                lines=[line.file_line for line in rejected],
                codes=[line.code for line in rejected],
                reasons=[line.detail for line in rejected],
                rows=capacity.rows,
                bytes=capacity.bytes,
                raw=MAX_RAW_CHARACTERS,
            ),
            timeout=FILE_TIMEOUT_SECONDS,
        )
        return RejectedCount(*(row or (0, 0, 0)))

    async def reject_incomplete_orders(
        self, connection: Connection, import_id: str, capacity: RejectCapacity
    ) -> RejectedCount:
        """Remove the other lines of orders with a rejected row; store some for the report."""
        row = await connection.fetchrow(
            *SQL.reject_incomplete_orders(
                import_id=import_id,
                code=INCOMPLETE_CODE,
                reason=INCOMPLETE_REASON,
                rows=capacity.rows,
                bytes=capacity.bytes,
                raw=MAX_RAW_CHARACTERS,
            ),
            timeout=FILE_TIMEOUT_SECONDS,
        )
        return RejectedCount(*(row or (0, 0, 0)))

    async def reject_oversized_orders(
        self, connection: Connection, import_id: str, capacity: RejectCapacity
    ) -> RejectedCount:
        """Remove the lines of orders that have too many; store some for the report."""
        row = await connection.fetchrow(
            *SQL.reject_oversized_orders(
                import_id=import_id,
                most=MAX_ORDER_LINES,
                reason=TOO_LARGE_REASON,
                rows=capacity.rows,
                bytes=capacity.bytes,
                raw=MAX_RAW_CHARACTERS,
            ),
            timeout=FILE_TIMEOUT_SECONDS,
        )
        return RejectedCount(*(row or (0, 0, 0)))

    async def lines(self, import_id: str, after: str) -> AsyncGenerator[StagedLine, None]:
        """Yield the staged lines of orders whose ids follow `after`, sorted by order id."""
        query = SQL.staged_orders(import_id=import_id, after=after)
        async with aclosing(self._pages(*query)) as pages:
            async for page in pages:
                for ctid, file_line, *cells in page:
                    yield StagedLine(file_line, OrderRow._make(cells), ctid)

    async def field_updates(
        self, kind: Literal["items", "users"], import_: Import, after: str
    ) -> AsyncGenerator[FieldUpdate, None]:
        """Yield the updates of items or users whose ids follow `after`, sorted by id."""
        if import_.kind == "orders":
            statement = {"items": SQL.item_updates, "users": SQL.user_updates}[kind]
            async with aclosing(self._pages(*statement(import_id=import_.id, after=after))) as pages:
                async for page in pages:
                    for identity, field, value, said_at in page:
                        fields = {} if field is None else {field: value}
                        yield FieldUpdate(identity, fields, {}, to_microseconds(said_at))
            return
        said_at = to_microseconds(import_.said_at)
        query = SQL.staged_puts(import_id=import_.id, after=after)
        async with aclosing(self._pages(*query)) as pages:
            async for page in pages:
                for line, identity, fields, attributes in page:
                    # Of two rows about the same item or user the later one wins.
                    yield FieldUpdate(identity, parse_times(fields), attributes, said_at + line, line)

    async def _pages(self, text: str, *args: Any) -> AsyncGenerator[list[asyncpg.Record], None]:
        """Yield the rows of a query in pages, in a transaction of its own, so that they are consistent."""
        async with self._database.transaction(readonly=True) as connection:
            cursor = await connection.cursor(text, *args)
            while page := await cursor.fetch(_PAGE, timeout=FILE_TIMEOUT_SECONDS):
                yield page
