"""Orders of several rows: their cells are carried over, and an order is taken whole or not at all."""

from __future__ import annotations

from tests.integration.sync.shop import Shop

HEADER = "Name,Email,Paid at,Currency,Lineitem quantity,Lineitem sku,Lineitem price\n"
MAPPING = {
    "source": "shop-export",
    "columns": {
        "order_id": "Name", "ordered_at": "Paid at", "user_id": "Email", "product_id": "Lineitem sku",
        "quantity": "Lineitem quantity", "price": "Lineitem price", "currency": "Currency",
    },
}  # fmt: skip
FULL = HEADER + (
    "#501,kim@example.org,2026-03-12 09:14:02 -0400,EUR,1,LAMP,30.00\n"
    "#502,,2026-03-12 10:00:00 -0400,EUR,1,LAMP,31.00\n"
    "#501,kim@example.org,2026-03-12 09:14:02 -0400,EUR,2,BULB,10.00\n"
    "#501,kim@example.org,2026-03-12 09:14:02 -0400,EUR,1,CORD,5.00\n"
)
SPARSE = FULL.replace(
    "kim@example.org,2026-03-12 09:14:02 -0400,EUR,2", ",,,2"
).replace("kim@example.org,2026-03-12 09:14:02 -0400,EUR,1,CORD", ",,,1,CORD")  # fmt: skip
LINES = "SELECT order_id, product_id, quantity, currency, unified_customer_id, ordered_at FROM order_items"


async def test_the_date_and_other_cells_of_an_order_stand_in_its_first_row_only(shop: Shop) -> None:
    import_ = await shop.load("orders", SPARSE, mapping=MAPPING)
    lines, items = await shop.rows(LINES), await shop.rows("SELECT item_id, price, currency FROM items")

    repeated = await shop.load("orders", FULL, mapping=MAPPING)

    assert (import_.reasons, import_.rows_accepted, import_.changes["orders"]) == ({}, 4, 2)
    order = [line for line in lines if line["order_id"] == "#501"]
    assert [(line["product_id"], line["quantity"]) for line in order] == [
        ("LAMP", 1),
        ("BULB", 2),
        ("CORD", 1),
    ]
    for name in ("currency", "unified_customer_id", "ordered_at"):
        assert len({line[name] for line in order}) == 1
        assert order[0][name] is not None
    assert sorted((i["item_id"], i["price"], i["currency"]) for i in items) == [
        ("BULB", 10, "EUR"), ("CORD", 5, "EUR"), ("LAMP", 31, "EUR"),
    ]  # fmt: skip
    # What says the same is the same, wherever its cells stand.
    assert (repeated.rows_duplicate, repeated.reasons) == (4, {})


async def test_an_order_with_a_refused_row_waits_for_a_corrected_file(shop: Shop) -> None:
    bad = FULL.replace(",2,BULB", ",two,BULB")

    import_ = await shop.load("orders", bad, mapping=MAPPING)
    orders = await shop.rows("SELECT order_id FROM orders")
    rejects = await shop.rows("SELECT line, code, reason FROM import_rejects ORDER BY line")
    mended = await shop.load("orders", FULL, mapping=MAPPING)

    assert (import_.rows_read, import_.rows_accepted, import_.rows_rejected) == (4, 1, 3)
    assert import_.reasons == {"bad_number": 1, "order_incomplete": 2}
    assert orders == [{"order_id": "#502"}]
    assert [(row["line"], row["code"]) for row in rejects] == [
        (2, "order_incomplete"), (4, "bad_number"), (5, "order_incomplete"),
    ]  # fmt: skip
    assert "its line 4 is rejected; correct that" in rejects[0]["reason"]
    assert (mended.reasons, mended.rows_accepted, mended.rows_duplicate) == ({}, 3, 1)
    assert len(await shop.rows(LINES)) == 4
    assert await shop.rows("SELECT FROM staged_faults") == []
