"""Day-first dates under a header that is mostly written with the month first."""

from __future__ import annotations

import pytest

from services.sync.domain import builtin_mappings
from shared.errors import Permanent
from tests.integration.sync.shop import Shop

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
EITHER = (
    "91001,A1,Cup,2,05/12/2010 08:26,2.55,90001,United Kingdom\n"
    "91002,A1,Cup,2,07/12/2010 08:26,2.55,90002,United Kingdom\n"
)
PROOF = "91003,A1,Cup,2,13/12/2010 08:26,2.55,90003,United Kingdom\n"
ORDERS = "SELECT order_id, ordered_at::date::text AS day FROM orders ORDER BY 1"


@pytest.mark.parametrize("source", [None, "online-retail"])
async def test_the_last_row_decides_for_the_first(shop: Shop, source: str | None) -> None:
    import_ = await shop.load("orders", HEADER + EITHER + PROOF, source=source)

    assert (import_.status, import_.reasons, import_.rows_accepted) == ("done", {}, 3)
    assert [row["day"] for row in await shop.rows(ORDERS)] == ["2010-12-05", "2010-12-07", "2010-12-13"]


async def test_a_file_that_stays_ambiguous_is_taken_only_with_a_mapping(shop: Shop) -> None:
    identity = await shop.post("orders", HEADER + EITHER)

    with pytest.raises(Permanent, match="2010-05-12 with the month first, and 2010-12-05 with the day first"):
        await shop.run(identity)
    assert await shop.rows("SELECT FROM staged_lines") == []
    own = builtin_mappings.parse('{"date_format": "%d/%m/%Y %H:%M"}', "online-retail")
    import_ = await shop.load("orders", HEADER + EITHER, mapping=own.model_dump(mode="json"))

    assert (import_.status, import_.source, import_.rows_accepted) == ("done", "online-retail", 2)
    assert [row["day"] for row in await shop.rows(ORDERS)] == ["2010-12-05", "2010-12-07"]
