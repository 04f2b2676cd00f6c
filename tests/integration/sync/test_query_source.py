"""Rows of a shop's own Postgres become orders, items and users."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from services.sync.store import Pulls, Sources, source_database
from services.sync.worker import Puller
from shared.errors import Permanent
from tests.integration.sync.inbox import SourceOfShop
from tests.integration.sync.runs import a_run
from tests.integration.sync.shop import TENANT, Shop
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY

ORDERS = (
    "SELECT order_id, ordered_at, changed AS updated_at, buyer AS user_id, sku AS product_id, n AS quantity, "
    "price FROM public.shop_lines WHERE ordered_at::date BETWEEN $1 AND $2 ORDER BY order_id"
)
TABLE = """
CREATE TABLE public.shop_lines AS
SELECT 'o' || g / 3 AS order_id, now() - interval '1 day' AS ordered_at, now() AS changed,
    'u' || g / 10 AS buyer,
    'p' || g AS sku, 2 AS n, 1.50::numeric AS price
FROM generate_series(0, 299) AS g
"""


async def run(
    shop: Shop, database: Database, query: str, records: str = "orders", **changes: Any
) -> list[str]:
    """Ask the database of the test itself, as its owner; return the states of the deliveries."""
    url = urlsplit(database.url)
    config = {
        "kind": "postgres", "host": url.hostname, "port": url.port, "database": url.path[1:], "query": query,
        "user": url.username, "ssl": "disable", "records": records, "every_hours": 6, "full_every_days": 7,
    }  # fmt: skip
    sources = Sources(shop.pool, SecretStr(SECRET_KEY))
    secrets = {"password": url.password or "none"}
    assert await sources.add(TENANT, records, config | changes, secrets, enabled=True)
    (source,) = await sources.of_tenant(TENANT, records)
    await Puller(sources, Pulls(shop.pool), allow_internal=True).run(a_run(shop, source.id))
    return await SourceOfShop(shop, source.id).merge()


async def test_rows_of_an_order_are_its_lines(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_database, "PAGE", 100)  # the lines of an order are on two pages
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute(TABLE)
    finally:
        await connection.close()

    states = await run(shop, database, ORDERS)

    assert states == ["applied"] * 100
    (row,) = await shop.rows("SELECT count(*) AS lines, sum(price * remaining) AS sum FROM order_items")
    assert row == {"lines": 300, "sum": 900}


async def test_items_keep_their_other_columns(shop: Shop, database: Database) -> None:
    query = "SELECT 'i1' AS item_id, 'Cup' AS name, 2.5::numeric AS price, 'red' AS colour"

    assert await run(shop, database, query, "items") == ["applied"]

    (item,) = await shop.rows("SELECT item_id, name, price, attributes FROM items")
    assert item == {"item_id": "i1", "name": "Cup", "price": 2.5, "attributes": {"colour": "red"}}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT 1 AS x", "no column order_id"),
        ("SELECT broken", "refuses the query"),
        ("DELETE FROM sync.items RETURNING item_id AS order_id", "refuses the query"),
        (
            "SELECT * FROM (VALUES ('a', now()), ('b', now()), ('a', now())) AS v (order_id, ordered_at)",
            "ORDER BY",
        ),
    ],
)
async def test_a_wrong_query_is_refused_with_a_sentence(
    shop: Shop, database: Database, query: str, sentence: str
) -> None:
    with pytest.raises(Permanent, match=sentence):
        await run(shop, database, query)
