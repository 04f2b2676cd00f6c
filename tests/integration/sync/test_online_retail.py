"""The real shop: Online Retail, all 541,909 rows of it."""

from __future__ import annotations

import gzip
import resource
from pathlib import Path

import pytest

from tests.integration.sync.shop import Shop

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "online_retail" / "transactions.csv.gz"


@pytest.mark.skipif(not DATA.exists(), reason=f"the data set Online Retail is not at {DATA}")
async def test_every_row_of_online_retail_is_where_it_belongs(shop: Shop) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    identity = await shop.post("orders", DATA.read_bytes())

    import_ = await shop.run(identity, shop.importer(chunk_rows=5_000))

    assert import_.source == "online-retail"
    assert import_.reasons == {"service_code": 2_912, "price_not_positive": 2_501}
    assert (import_.rows_read, import_.rows_accepted, import_.rows_duplicate) == (541_909, 536_496, 0)
    assert import_.changes == {
        "orders": 19_773, "order_lines": 527_792, "cancellations": 3_422, "cancellation_lines": 8_704,
        "items": 3_818, "users": 4_362,
    }  # fmt: skip
    lines = await shop.rows(
        "SELECT kind, count(*) AS lines, count(*) FILTER (WHERE unified_customer_id IS NULL) AS guests "
        "FROM order_items GROUP BY kind ORDER BY kind"
    )
    assert [tuple(row.values()) for row in lines] == [
        ("cancellation", 8_704, 165), ("order", 527_792, 131_452),
    ]  # fmt: skip
    outbox = await shop.rows("SELECT aggregatetype, count(*) FROM outbox GROUP BY 1 ORDER BY 1")
    assert {row["aggregatetype"]: row["count"] for row in outbox} == {
        "orders-v1": 19_773 + 3_422, "items-v1": 3_818, "users-v1": 4_362, "training-requests-v1": 1,
    }  # fmt: skip
    published = await shop.rows(
        "SELECT sum(json_array_length(payload->'lines'))::int AS lines "
        "FROM outbox WHERE aggregatetype = 'orders-v1'"
    )
    assert published == [{"lines": 536_496}]
    assert await shop.rows("SELECT count(*) FROM import_rejects") == [{"count": 5_413}]
    assert await shop.rows("SELECT FROM staged_lines LIMIT 1") == []
    # Streamed: the file has 48 MB, and its rows as objects would be ten times that.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024

    # A fifth of its orders once more: none of them is new.
    head = gzip.decompress(DATA.read_bytes()).partition(b"\n544796,")[0]
    repeated = await shop.run(await shop.post("orders", head), shop.importer(chunk_rows=5_000))

    assert repeated.rows_read == head.count(b"\n")
    assert (repeated.changes, repeated.rows_duplicate + repeated.rows_rejected) == ({}, repeated.rows_read)
    assert (await shop.rows("SELECT count(*) FROM outbox"))[0]["count"] == 23_195 + 3_818 + 4_362 + 1
