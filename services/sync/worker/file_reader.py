"""The first step: the file's rows, a chunk at a time. For interactions it is the only one."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

from services.sync.domain import builtin_mappings
from services.sync.domain.cells import RowRejected
from services.sync.domain.date_order import DateOrder
from services.sync.domain.imports import Import, Reject
from services.sync.domain.limits import CHUNK_BYTES, CHUNK_CELLS, Limits
from services.sync.domain.mapping import DATE_FIELDS, Mapping, find_columns
from services.sync.domain.rejected_orders import RejectedOrders
from services.sync.domain.rows import (
    interaction_row_parser,
    item_row_parser,
    order_row_parser,
    user_row_parser,
)
from services.sync.domain.table import Record, Table, printable
from shared import outbox
from shared.errors import Permanent
from shared.events.topics import INTERACTIONS

if TYPE_CHECKING:
    from services.sync.store import Files, Imports, Orders, Staging
    from shared.postgres import Connection, Database

Row = tuple[Record, Any]
"""A record and what it says: an order line, a put, or an interaction."""


_TRACE_BYTES = 64
"""Bytes of a piece that are looked at again with the next one: more than stand around a date's separator."""


class _Rows(NamedTuple):
    """The reader of a file's rows, the columns of cells that it had to cut, and the faults of order files."""

    read: Callable[[list[str]], Any]
    shortened: Counter[str]
    rejected_orders: RejectedOrders | None = None


class FileReader:
    """Reads files chunk by chunk, each in one transaction with the import's state."""

    def __init__(
        self,
        database: Database,
        imports: Imports,
        orders: Orders,
        staging: Staging,
        files: Files,
        *,
        chunk_rows: int,
        limits: Limits,
    ) -> None:
        self._database = database
        self._imports = imports
        self._orders = orders
        self._staging = staging
        self._files = files
        self._chunk_rows = chunk_rows
        self._limits = limits
        self._take: dict[str, Callable[[Connection, Import, list[Row]], Awaitable[None]]] = {
            "orders": self._stage_lines,
            "items": self._stage_puts,
            "users": self._stage_puts,
            "interactions": self._publish,
        }

    async def read(self, import_: Import) -> Import:
        """Read the file from the import's position to its end."""
        mapping = await self._resolved_mapping(import_)
        table = Table(mapping.encoding, mapping.delimiter)
        rows: _Rows | None = None
        async with aclosing(self._chunks(table, import_)) as chunks:
            async for records, packed_bytes in chunks:
                rows = rows or _row_reader(import_, mapping, table)
                import_ = await self._chunk(import_, records, rows, table, packed_bytes)
        if rows is None:
            _row_reader(import_, mapping, table)  # A file without rows still has to have our columns.
        updated = import_.copy()
        updated.start_step("finish" if import_.kind == "interactions" else import_.kind)
        updated.bytes_read, updated.encoding = import_.size, table.encoding
        async with self._database.transaction() as connection:
            await self._imports.save(connection, updated)
        return updated

    async def _resolved_mapping(self, import_: Import) -> Mapping:
        """Return the file's mapping with one order of day and month.

        Where the mapping leaves that open, the rows are looked at before the first is taken. Permanent when
        they don't tell.
        """
        mapping = import_.own_mapping or (
            builtin_mappings.by_name(import_.source) if import_.source else None
        )
        mapping = mapping or builtin_mappings.detect(import_.kind, (await self._header(import_)).header or [])
        order = DateOrder(mapping)
        if order.is_ambiguous and await self._has_ambiguous_dates(import_, order):
            await self._observe_dates(import_, mapping, order)
        return order.resolved_mapping()

    async def _header(self, import_: Import) -> Table:
        """Return a table that has read the first line; Permanent when there is none."""
        table = Table()
        file = self._files.pieces(import_.bucket, import_.object_key, import_.etag)
        async with aclosing(file) as pieces:
            async for piece, _ in pieces:
                table.feed(piece)
                if table.header is not None:
                    return table
        table.close()
        return table

    async def _has_ambiguous_dates(self, import_: Import, order: DateOrder) -> bool:
        """Return whether the file may hold a date that the order of day and month tells."""
        file = self._files.pieces(import_.bucket, import_.object_key, import_.etag)
        tail = b""
        async with aclosing(file) as pieces:
            async for piece, _ in pieces:
                if order.may_match(tail + piece):
                    return True
                tail = piece[-_TRACE_BYTES:]
        return False

    async def _observe_dates(self, import_: Import, mapping: Mapping, order: DateOrder) -> None:
        """Show the dates of all rows to what decides between day and month first."""
        table = Table(mapping.encoding, mapping.delimiter)
        column: int | None = None

        def look(records: list[Record]) -> None:
            nonlocal column
            if column is None and table.header is not None:
                column = find_columns(mapping, import_.kind, table.header)[DATE_FIELDS.get(import_.kind, "")]
            for record in self._counted(records):
                if not record.problem and column is not None and column >= 0:
                    order.observe(record.fields[column].strip(), record.line)

        file = self._files.pieces(import_.bucket, import_.object_key, import_.etag)
        async with aclosing(file) as pieces:
            async for piece, _ in pieces:
                look(table.feed(piece))
        look(table.close())

    async def _chunks(self, table: Table, import_: Import) -> AsyncGenerator[tuple[list[Record], int], None]:
        """Yield the records behind the import's line, and how much of the packed file is read by then.

        A chunk is bounded by its rows, its bytes and its cells. Permanent for a file of too many lines.
        """
        after = import_.position.get("line", 0)
        chunk = _Chunk(self._chunk_rows)
        packed_bytes = 0
        file = self._files.pieces(import_.bucket, import_.object_key, import_.etag)
        async with aclosing(file) as pieces:
            async for piece, packed_bytes in pieces:
                for record in self._counted(table.feed(piece)):
                    if record.line > after and chunk.add(record):
                        yield chunk.taken(), packed_bytes
        for record in self._counted(table.close()):
            if record.line > after and chunk.add(record):
                yield chunk.taken(), packed_bytes
        if chunk.records:
            yield chunk.taken(), packed_bytes

    def _counted(self, records: Iterable[Record]) -> Iterator[Record]:
        most = self._limits.max_import_rows + 1  # the header
        for record in records:
            if record.line > most:
                raise Permanent(f"The file has more than {most - 1:,} lines below the first; split it.")
            yield record

    async def _chunk(
        self,
        import_: Import,
        records: list[Record],
        rows: _Rows,
        table: Table,
        packed_bytes: int,
    ) -> Import:
        taken, rejects = _sorted_out(records, rows)
        updated = import_.copy()
        updated.count_shortened(rows.shortened)
        updated.rows_read += len(records)
        kept = updated.add_rejects(rejects, self._limits)
        updated.position = {"line": records[-1].line}
        updated.bytes_read, updated.encoding = packed_bytes, table.encoding
        async with self._database.transaction() as connection:
            await self._imports.add_rejects(connection, import_.id, kept)
            if rows.rejected_orders is not None:
                updated.position["order"] = rows.rejected_orders.previous_order_id
                await self._staging.add_rejected_orders(connection, import_.id, rows.rejected_orders.take())
            if taken:
                await self._take[import_.kind](connection, updated, taken)
            await self._imports.save(connection, updated)
        return updated

    async def _stage_lines(self, connection: Connection, import_: Import, rows: list[Row]) -> None:
        lines = [(record.line, record.raw.rstrip("\r\n"), row) for record, row in rows]
        await self._staging.add_lines(connection, import_.id, lines)
        import_.rows_staged += len(rows)

    async def _stage_puts(self, connection: Connection, import_: Import, rows: list[Row]) -> None:
        puts = [(record.line, row) for record, row in rows]
        await self._staging.add_puts(connection, import_.id, puts)
        import_.rows_staged += len(rows)

    async def _publish(self, connection: Connection, import_: Import, rows: list[Row]) -> None:
        events = {event.event_id: event for _, event in rows}
        new = await self._orders.new_interactions(connection, import_.tenant, list(events))
        import_.rows_accepted += len(new)
        import_.rows_duplicate += len(rows) - len(new)
        import_.count_changes(interactions=len(new))
        await outbox.append(
            connection, INTERACTIONS, [event for event in events.values() if event.event_id in new]
        )


class _Chunk:
    """The records of the next transaction."""

    def __init__(self, most_rows: int) -> None:
        self.records: list[Record] = []
        self._most_rows = most_rows
        self._bytes = self._cells = 0

    def add(self, record: Record) -> bool:
        """Take a record; return whether it is time for the transaction."""
        self.records.append(record)
        self._bytes += len(record.raw)
        self._cells += len(record.fields)
        return (
            len(self.records) >= self._most_rows or self._bytes >= CHUNK_BYTES or self._cells >= CHUNK_CELLS
        )

    def taken(self) -> list[Record]:
        """Return the records, and begin anew."""
        records, self.records = self.records, []
        self._bytes = self._cells = 0
        return records


def _row_reader(import_: Import, mapping: Mapping, table: Table) -> _Rows:
    """Return the reader for the columns that the file has; Permanent when some are missing."""
    header = table.header or []
    import_.source = mapping.source
    places, width = find_columns(mapping, import_.kind, header), len(header)
    shortened = Counter[str]()
    match import_.kind:
        case "orders":
            rejected_orders = RejectedOrders(
                places, table.delimiter or ",", import_.position.get("order", "")
            )
            return _Rows(order_row_parser(mapping, places, width), shortened, rejected_orders)
        case "items":
            return _Rows(item_row_parser(mapping, places, width, shortened), shortened)
        case "users":
            return _Rows(user_row_parser(mapping, places, width, shortened), shortened)
        case "interactions":
            read = interaction_row_parser(
                mapping, places, width, shortened, tenant=import_.tenant, received_at=import_.said_at
            )
            return _Rows(read, shortened)


def _sorted_out(records: Sequence[Record], rows: _Rows) -> tuple[list[Row], list[Reject]]:
    rejected_orders = rows.rejected_orders
    taken: list[Row] = []
    rejects: list[Reject] = []
    for record in records:
        if record.problem:
            reject = Reject(record.line, record.problem, record.detail, record.raw)
        else:
            try:
                row = rows.read(record.fields)
            except RowRejected as error:
                reject = Reject(record.line, error.code, error.detail, printable(record.raw))
            else:
                taken.append((record, row))
                if rejected_orders is not None:
                    rejected_orders.previous_order_id = row.order_id
                continue
        rejects.append(reject)
        if rejected_orders is not None:
            rejected_orders.add(record, reject.code)
    return taken, rejects
