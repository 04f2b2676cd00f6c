"""Read a file in chunks and stage its rows; rows of interactions are published at once."""

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
from services.sync.domain.order_rows import order_row_parser
from services.sync.domain.rejected_orders import RejectedOrders
from services.sync.domain.rows import interaction_row_parser, item_row_parser, user_row_parser
from services.sync.domain.table import Record, Table, printable
from shared import outbox
from shared.errors import Permanent
from shared.events.topics import INTERACTIONS

if TYPE_CHECKING:
    from services.sync.store import Files, Imports, Orders, Staging
    from shared.postgres import Connection, Database

Row = tuple[Record, Any]
"""A record and its parsed row: an order line, a put, or an interaction."""


_OVERLAP_BYTES = 64
"""Bytes of a piece that are searched again with the next piece: more than the length of a date."""


class _RowParser(NamedTuple):
    """The parser of a file's rows, the columns of shortened cells, and the rejected orders of order files."""

    parse: Callable[[list[str]], Any]
    shortened: Counter[str]
    rejected_orders: RejectedOrders | None = None


class FileReader:
    """Reads files in chunks; the rows of a chunk and the import's state are saved in one transaction."""

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
        self._save_rows: dict[str, Callable[[Connection, Import, list[Row]], Awaitable[None]]] = {
            "orders": self._stage_lines,
            "items": self._stage_puts,
            "users": self._stage_puts,
            "interactions": self._publish,
        }

    async def read(self, import_: Import) -> Import:
        """Read the file from the import's position to its end; return the import in its next step."""
        mapping = await self._resolved_mapping(import_)
        table = Table(mapping.encoding, mapping.delimiter)
        parser: _RowParser | None = None
        async with aclosing(self._chunks(table, import_)) as chunks:
            async for records, bytes_read in chunks:
                parser = parser or _row_parser(import_, mapping, table)
                import_ = await self._save_chunk(import_, records, parser, table, bytes_read)
        if parser is None:
            _row_parser(import_, mapping, table)  # A file without rows still needs the required columns.
        updated = import_.copy()
        updated.start_step("finish" if import_.kind == "interactions" else import_.kind)
        updated.bytes_read, updated.encoding, updated.header = import_.size, table.encoding, table.header_line
        async with self._database.transaction() as connection:
            await self._imports.save(connection, updated)
        return updated

    async def _resolved_mapping(self, import_: Import) -> Mapping:
        """Return the file's mapping with one order of day and month.

        If the mapping allows both, all dates of the file are read first. Raises Permanent if they do not
        decide.
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
        """Return a table that has read the header. Raises Permanent if the file is empty."""
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
        """Return whether the file may contain a date that depends on the order of day and month."""
        file = self._files.pieces(import_.bucket, import_.object_key, import_.etag)
        tail = b""
        async with aclosing(file) as pieces:
            async for piece, _ in pieces:
                if order.may_match(tail + piece):
                    return True
                tail = piece[-_OVERLAP_BYTES:]
        return False

    async def _observe_dates(self, import_: Import, mapping: Mapping, order: DateOrder) -> None:
        """Pass the dates of all rows to `order`."""
        table = Table(mapping.encoding, mapping.delimiter)
        column: int | None = None

        def observe(records: list[Record]) -> None:
            nonlocal column
            if column is None and table.header is not None:
                column = find_columns(mapping, import_.kind, table.header)[DATE_FIELDS.get(import_.kind, "")]
            for record in self._counted(records):
                if not record.problem and column is not None and column >= 0:
                    order.observe(record.fields[column].strip(), record.line)

        file = self._files.pieces(import_.bucket, import_.object_key, import_.etag)
        async with aclosing(file) as pieces:
            async for piece, _ in pieces:
                observe(table.feed(piece))
        observe(table.close())

    async def _chunks(self, table: Table, import_: Import) -> AsyncGenerator[tuple[list[Record], int], None]:
        """Yield chunks of records after the import's position, and the compressed bytes read so far.

        A chunk is limited in rows, bytes and cells. Raises Permanent for a file with too many lines.
        """
        after = import_.position.get("line", 0)
        chunk = _Chunk(self._chunk_rows)
        bytes_read = 0
        file = self._files.pieces(import_.bucket, import_.object_key, import_.etag)
        async with aclosing(file) as pieces:
            async for piece, bytes_read in pieces:
                for record in self._counted(table.feed(piece)):
                    if record.line > after and chunk.add(record):
                        yield chunk.take(), bytes_read
        for record in self._counted(table.close()):
            if record.line > after and chunk.add(record):
                yield chunk.take(), bytes_read
        if chunk.records:
            yield chunk.take(), bytes_read

    def _counted(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records. Raises Permanent for a line beyond the limit."""
        max_rows = self._limits.max_import_rows
        for record in records:
            if record.line > max_rows + 1:  # with the header
                raise Permanent(f"The file has more than {max_rows:,} lines after the header; split it.")
            yield record

    async def _save_chunk(
        self,
        import_: Import,
        records: list[Record],
        parser: _RowParser,
        table: Table,
        bytes_read: int,
    ) -> Import:
        """Save the rows and rejects of a chunk in one transaction; return the import positioned after it."""
        rows, rejects = _parse_rows(records, parser)
        updated = import_.copy()
        updated.count_shortened(parser.shortened)
        updated.rows_read += len(records)
        kept = updated.add_rejects(rejects, self._limits)
        updated.position = {"line": records[-1].line}
        updated.bytes_read, updated.encoding, updated.header = bytes_read, table.encoding, table.header_line
        async with self._database.transaction() as connection:
            await self._imports.add_rejects(connection, import_.id, kept)
            if parser.rejected_orders is not None:
                updated.position["order"] = parser.rejected_orders.previous_order_id
                await self._staging.add_rejected_orders(connection, import_.id, parser.rejected_orders.take())
            if rows:
                await self._save_rows[import_.kind](connection, updated, rows)
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
    """The records of one transaction."""

    def __init__(self, max_rows: int) -> None:
        self.records: list[Record] = []
        self._max_rows = max_rows
        self._bytes = self._cells = 0

    def add(self, record: Record) -> bool:
        """Add a record; return whether the chunk is full."""
        self.records.append(record)
        self._bytes += len(record.raw)
        self._cells += len(record.fields)
        return len(self.records) >= self._max_rows or self._bytes >= CHUNK_BYTES or self._cells >= CHUNK_CELLS

    def take(self) -> list[Record]:
        """Return the records, and empty the chunk."""
        records, self.records = self.records, []
        self._bytes = self._cells = 0
        return records


def _row_parser(import_: Import, mapping: Mapping, table: Table) -> _RowParser:
    """Return the parser for the file's columns. Raises Permanent if required columns are missing."""
    header = table.header or []
    import_.source = mapping.source
    columns, width = find_columns(mapping, import_.kind, header), len(header)
    shortened = Counter[str]()
    match import_.kind:
        case "orders":
            rejected_orders = RejectedOrders(
                columns, table.delimiter or ",", import_.position.get("order", "")
            )
            return _RowParser(order_row_parser(mapping, columns, width), shortened, rejected_orders)
        case "items":
            return _RowParser(item_row_parser(mapping, columns, width, shortened), shortened)
        case "users":
            return _RowParser(user_row_parser(mapping, columns, width, shortened), shortened)
        case "interactions":
            read = interaction_row_parser(
                mapping, columns, width, shortened, tenant=import_.tenant, received_at=import_.said_at
            )
            return _RowParser(read, shortened)


def _parse_rows(records: Sequence[Record], parser: _RowParser) -> tuple[list[Row], list[Reject]]:
    rejected_orders = parser.rejected_orders
    rows: list[Row] = []
    rejects: list[Reject] = []
    for record in records:
        if record.problem:
            reject = Reject(record.line, record.problem, record.detail, record.raw)
        else:
            try:
                row = parser.parse(record.fields)
            except RowRejected as error:
                reject = Reject(record.line, error.code, error.detail, printable(record.raw))
            else:
                rows.append((record, row))
                if rejected_orders is not None:
                    rejected_orders.previous_order_id = row.order_id
                continue
        rejects.append(reject)
        if rejected_orders is not None:
            rejected_orders.add(record, reject.code)
    return rows, rejects
