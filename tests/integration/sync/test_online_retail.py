"""The real shop Online Retail: every value of its columns is parsed, and a tenth of its invoices imported."""

from __future__ import annotations

import csv
import gzip
import resource
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sync.domain import builtin_mappings
from services.sync.domain.cells import RowRejected
from services.sync.domain.date_order import DateOrder
from services.sync.domain.mapping import find_columns
from services.sync.domain.order_rows import CANCELLATION, ORDER, OrderRow, order_row_parser
from services.sync.domain.table import Record, Table
from tests.integration.sync.shop import Shop

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "online_retail" / "transactions.csv.gz"
PIECE_BYTES = 2**16

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"the data set Online Retail is not at {DATA}")


def _rows_with_new_values() -> bytes:
    """Return the header and each row with a value, or a kind of row, that no row before it has.

    A row is parsed by itself, cell by cell, so that the other half a million rows could show nothing else.
    """
    lines = gzip.decompress(DATA.read_bytes()).splitlines(keepends=True)
    kept, seen = [], set[tuple[object, ...]]()
    for line, row in zip(lines, csv.reader(line.decode() for line in lines), strict=True):
        invoice, code, _, quantity, _, price, user, _ = row
        kind = (invoice[:1], code.isalpha(), quantity[:1] == "-", price[:1] == "-", price == "0.0", not user)
        values = {kind, *enumerate(row)}
        if not values <= seen:
            kept.append(line)
            seen |= values
    return b"".join(kept)


def _records(table: Table, content: bytes) -> Iterator[Record]:
    """Yield the records of the content, which comes in pieces."""
    for begin in range(0, len(content), PIECE_BYTES):
        yield from table.feed(content[begin : begin + PIECE_BYTES])
    yield from table.close()


def _invoices_ending_in_zero() -> bytes:
    """Return the header and every tenth invoice, over the whole year of the file."""
    header, *lines = gzip.decompress(DATA.read_bytes()).splitlines(keepends=True)
    return header + b"".join(line for line in lines if line.partition(b",")[0].endswith(b"0"))


def test_every_value_of_online_retail_is_of_an_order_line_or_has_its_reason() -> None:
    mapping = DateOrder(builtin_mappings.ONLINE_RETAIL).resolved_mapping()
    table = Table(mapping.encoding, mapping.delimiter)
    outcomes: Counter[str] = Counter()
    guests: Counter[str] = Counter()
    invoices: dict[str, set[str]] = {ORDER: set(), CANCELLATION: set()}
    items, users = set(), set()
    parse = None
    content = _rows_with_new_values()
    tracemalloc.start()
    for record in _records(table, content):
        if parse is None:
            assert table.header is not None
            columns = find_columns(mapping, "orders", table.header)
            parse = order_row_parser(mapping, columns, len(table.header))
        try:
            row: OrderRow = parse(record.fields)
        except RowRejected as error:
            outcomes[error.code] += 1
            continue
        outcomes[record.problem or row.kind] += 1
        guests[row.kind] += row.user_id is None
        invoices[row.kind].add(row.order_id)
        items.add(row.product_id)
        users |= {row.user_id} - {None}

    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcomes == {
        ORDER: 24_077,
        CANCELLATION: 3_454,
        "service_code": 1_577,
        "price_not_positive": 2_111,
    }
    assert guests == {ORDER: 2_867, CANCELLATION: 37}
    assert {kind: len(ids) for kind, ids in invoices.items()} == {ORDER: 19_651, CANCELLATION: 3_380}
    assert (len(items), len(users)) == (3_818, 4_355)
    # Streamed: these rows as objects have 24 MB.
    assert most_bytes < 12 * 2**20


async def test_a_tenth_of_online_retail_is_where_it_belongs(shop: Shop) -> None:
    content = _invoices_ending_in_zero()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    import_ = await shop.run(
        await shop.post("orders", gzip.compress(content, 1)), shop.importer(chunk_rows=2_000)
    )

    assert import_.source == "online-retail"
    assert import_.reasons == {"service_code": 287, "price_not_positive": 295}
    assert (import_.rows_read, import_.rows_accepted, import_.rows_duplicate) == (53_206, 52_624, 0)
    assert import_.changes == {
        "orders": 1_995, "order_lines": 51_699, "cancellations": 340, "cancellation_lines": 925,
        "items": 3_209, "users": 1_404,
    }  # fmt: skip
    lines = await shop.rows(
        "SELECT kind, count(*) AS lines, count(*) FILTER (WHERE unified_customer_id IS NULL) AS guests "
        "FROM order_items GROUP BY kind ORDER BY kind"
    )
    assert [tuple(row.values()) for row in lines] == [("cancellation", 925, 4), ("order", 51_699, 11_024)]
    outbox = await shop.rows("SELECT aggregatetype, count(*) FROM outbox GROUP BY 1 ORDER BY 1")
    assert {row["aggregatetype"]: row["count"] for row in outbox} == {
        "orders-v1": 1_995 + 340, "items-v1": 3_209, "users-v1": 1_404, "training-requests-v1": 1,
    }  # fmt: skip
    published = await shop.rows(
        "SELECT sum(json_array_length(payload->'lines'))::int AS lines "
        "FROM outbox WHERE aggregatetype = 'orders-v1'"
    )
    assert published == [{"lines": 52_624}]
    assert await shop.rows("SELECT count(*) FROM import_rejects") == [{"count": 582}]
    assert await shop.rows("SELECT FROM staged_lines LIMIT 1") == []
    # In chunks: the rows have 5 MB, and as objects they would be ten times that.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024

    # Its first orders once more: none of them is new.
    head = content.partition(b"\n544800,")[0]
    repeated = await shop.run(await shop.post("orders", head), shop.importer(chunk_rows=2_000))

    assert 0 < repeated.rows_read == head.count(b"\n") < import_.rows_read / 5
    assert (repeated.changes, repeated.rows_duplicate + repeated.rows_rejected) == ({}, repeated.rows_read)
    assert (await shop.rows("SELECT count(*) FROM outbox"))[0]["count"] == 2_335 + 3_209 + 1_404 + 1
