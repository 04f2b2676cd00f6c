"""Pages of items, users and orders on a real Postgres."""

from __future__ import annotations

from services.sync.store import Listings
from services.sync.store.listings import ItemQuery
from tests.integration.sync.shop import TENANT, Shop
from tests.support.stack import Database
from tests.support.tenants import make_tenant

ITEMS = (
    "item_id,name,category,price,created_at,available\n"
    "a,Copper Kettle,Kitchen,30,2026-01-01,true\n"
    "b,Oak Bowl,Kitchen|Table,8,2026-03-01,true\n"
    "c,Copper Lamp,Light,55,2026-02-01,true\n"
    "d,Old Kettle,Kitchen,,,no\n"
)
ORDERS = (
    "order_id,user_id,ordered_at,product_id,product_name,quantity,price,kind\n"
    "1,u1,2026-03-01T10:00:00Z,a,Copper Kettle,1,30,order\n"
    "1,u1,2026-03-01T10:00:00Z,b,Oak Bowl,2,8,order\n"
    "1,u1,2026-03-02T10:00:00Z,b,Oak Bowl,2,8,cancellation\n"
    "2,u1,2026-03-03T10:00:00Z,c,Copper Lamp,1,55,order\n"
    "3,u2,2026-03-03T10:00:00Z,c,Copper Lamp,1,55,order\n"
)


async def ids(listings: Listings, query: ItemQuery, tenant: str = TENANT) -> tuple[str, int]:
    rows, total = await listings.items(tenant, query)
    return "".join(row["item_id"] for row in rows), total


# One test, since each one has a database of its own.
QUERIES = [
    (ItemQuery(), ("abcd", 4)),
    (ItemQuery(available=True), ("abc", 3)),
    (ItemQuery(category="kitchen", available=True), ("ab", 2)),
    (ItemQuery(category="TABLE"), ("b", 1)),
    (ItemQuery(category="Kitch"), ("", 0)),
    (ItemQuery(search="copper"), ("ac", 2)),
    (ItemQuery(search="ket cop"), ("a", 1)),
    (ItemQuery(search="light"), ("c", 1)),
    (ItemQuery(search="'&"), ("", 0)),
    (ItemQuery(sort="price"), ("bacd", 4)),
    (ItemQuery(sort="-price"), ("cabd", 4)),
    (ItemQuery(sort="newest"), ("bcad", 4)),
    (ItemQuery(sort="name"), ("acbd", 4)),
    (ItemQuery(limit=2, offset=1), ("bc", 4)),
    (ItemQuery(item_ids=("d", "x", "a")), ("ad", 2)),
    (ItemQuery(item_ids=("d", "a"), available=True), ("a", 1)),
]


async def test_items_are_listed_by_category_word_and_order(shop: Shop) -> None:
    await shop.load("items", ITEMS)
    listings = Listings(shop.pool)

    assert [await ids(listings, query) for query, _ in QUERIES] == [expected for _, expected in QUERIES]
    assert [(row["name"], row["items"]) for row in await listings.categories(TENANT)] == [
        ("Kitchen", 2), ("Light", 1), ("Table", 1),
    ]  # fmt: skip


async def test_each_tenant_sees_its_own(shop: Shop, database: Database) -> None:
    await make_tenant(database, "other")
    await shop.load("items", ITEMS)
    await shop.load("orders", ORDERS)
    listings = Listings(shop.pool)

    assert await ids(listings, ItemQuery(search="copper"), "other") == ("", 0)
    assert await listings.categories("other") == []
    assert await listings.users("other", after="", limit=9) == []
    assert await listings.orders("other", "u1", 9) == []


async def test_orders_of_a_user_are_listed_newest_first_with_their_lines(shop: Shop) -> None:
    await shop.load("orders", ORDERS)
    listings = Listings(shop.pool)

    orders = await listings.orders(TENANT, "u1", 9)
    users = await listings.users(TENANT, after="u1", limit=9)

    assert [
        (order["kind"], order["order_id"], [line["product_id"] for line in order["lines"]])
        for order in orders
    ] == [("order", "2", ["c"]), ("cancellation", "1", ["b"]), ("order", "1", ["a", "b"])]
    assert [user["user_id"] for user in users] == ["u2"]
