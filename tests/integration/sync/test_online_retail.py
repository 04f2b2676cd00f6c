"""The real shop Online Retail: all its 541,909 rows are parsed, and a tenth of its invoices is imported."""

from __future__ import annotations

import gzip
import resource
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
PIECE_BYTES = 2**20

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"the data set Online Retail is not at {DATA}")


def _records(table: Table) -> Iterator[Record]:
    """Yield the records of the file, which is never in memory as a whole."""
    with gzip.open(DATA) as file:
        while piece := file.read(PIECE_BYTES):
            yield from table.feed(piece)
    yield from table.close()


def _invoices_ending_in_zero() -> bytes:
    """Return the header and every tenth invoice, over the whole year of the file."""
    header, *lines = gzip.decompress(DATA.read_bytes()).splitlines(keepends=True)
    return header + b"".join(line for line in lines if line.partition(b",")[0].endswith(b"0"))


def test_every_row_of_online_retail_is_an_order_line_or_has_its_reason() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mapping = DateOrder(builtin_mappings.ONLINE_RETAIL).resolved_mapping()
    table = Table(mapping.encoding, mapping.delimiter)
    outcomes: Counter[str] = Counter()
    guests: Counter[str] = Counter()
    invoices: dict[str, set[str]] = {ORDER: set(), CANCELLATION: set()}
    items, users = set(), set()
    parse = None
    for record in _records(table):
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

    assert outcomes == {
        ORDER: 527_792,
        CANCELLATION: 8_704,
        "service_code": 2_912,
        "price_not_positive": 2_501,
    }
    assert guests == {ORDER: 131_452, CANCELLATION: 165}
    assert {kind: len(ids) for kind, ids in invoices.items()} == {ORDER: 19_773, CANCELLATION: 3_422}
    assert (len(items), len(users)) == (3_818, 4_362)
    # Streamed: the file has 48 MB, and its rows as objects would be ten times that.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


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
