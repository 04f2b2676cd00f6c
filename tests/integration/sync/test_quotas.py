"""How many items and users a tenant may have, and how an item goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.sync.domain.catalogue import QuotaReached
from services.sync.domain.limits import Quotas
from services.sync.store import Catalogue, catalogue
from shared.events import ItemPut, UserPut
from tests.integration.sync.shop import TENANT, Shop

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def small(shop: Shop) -> Shop:
    """The shop, with room for two items and two users."""
    return Shop(shop.pool, shop.files, Quotas(2, 2))


def item(identity: str, name: str = "Cup", tenant: str = TENANT) -> ItemPut:
    return ItemPut(
        event_id=f"{identity}{name}", tenant=tenant, occurred_at=NOON, item_id=identity, fields={"name": name}
    )


def user(identity: str) -> UserPut:
    return UserPut(event_id=identity, tenant=TENANT, occurred_at=NOON, user_id=identity, fields={})


async def names(shop: Shop) -> dict[str, str]:
    rows = await shop.rows("SELECT item_id, name FROM items WHERE tenant = $1 ORDER BY 1", TENANT)
    return {row["item_id"]: row["name"] for row in rows}


async def test_accepted_puts_are_merged_some_way_beyond_the_quota_and_known_items_always(
    small: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tracker has answered 200 by the items that were merged then."""
    monkeypatch.setattr(catalogue, "HEADROOM", 1)
    await small.handlers.put([item("a"), item("b")])
    await small.handlers.put([item("c")])

    with pytest.raises(QuotaReached, match="'d' is new, and 'shop' has 3 items; its limit is 2"):
        await small.handlers.put([item("d")])

    assert list(await names(small)) == ["a", "b", "c"]


async def test_whoever_accepts_items_sees_how_many_there_may_be(small: Shop) -> None:
    await small.handlers.put([item("a"), user("u")])
    for quotas in (Quotas(5, 6), Quotas(2, 3)):
        await Catalogue(small.pool, quotas).publish_quotas()

    rows = await small.rows("SELECT kind, rows, most FROM catalogue_rooms_v1 ORDER BY 1")
    assert rows == [{"kind": "items", "rows": 1, "most": 2}, {"kind": "users", "rows": 1, "most": 3}]


async def test_a_new_item_beyond_the_quota_is_refused_alone(
    small: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "HEADROOM", 0)
    await small.handlers.put([item("a"), item("b"), user("a"), user("b"), item("c", tenant="other")])

    with pytest.raises(
        QuotaReached, match=r"'c' is new, and 'shop' has 2 items; its limit is 2.* SYNC_MAX_ITEMS"
    ):
        await small.handlers.put([item("c")])
    with pytest.raises(QuotaReached, match="has 2 users; its limit is 2"):
        await small.handlers.put([user("c")])
    put = ItemPut(
        event_id="n", tenant=TENANT, occurred_at=datetime.now(UTC), item_id="a", fields={"name": "M"}
    )
    await small.handlers.put([put])

    assert await names(small) == {"a": "M", "b": "Cup"}


async def test_rows_of_a_file_beyond_the_quota_are_refused_with_their_lines(small: Shop) -> None:
    await small.handlers.put([item("b")])

    import_ = await small.load("items", "item_id,name\na,Mug\nb,Plate\nc,Bowl\nd,Pan\n")

    assert (import_.status, import_.rows_accepted, import_.reasons) == ("done", 2, {"quota_reached": 2})
    assert await names(small) == {"a": "Mug", "b": "Plate"}
    assert [(line, code) for line, code, _ in await small.rejects(import_.id)] == [
        (4, "quota_reached"), (5, "quota_reached"),
    ]  # fmt: skip
    assert len(await small.published("items-v1")) == 3


async def test_an_order_of_an_item_beyond_the_quota_is_taken_all_the_same(small: Shop) -> None:
    import_ = await small.load(
        "orders",
        "order_id,ordered_at,product_id,quantity\n1,2026-03-01,a,1\n1,2026-03-01,b,1\n1,2026-03-01,c,1\n",
    )

    assert import_.changes == {"orders": 1, "order_lines": 3, "items": 2}
    assert list(await names(small)) == ["a", "b"]


async def test_a_deleted_item_is_published_once_and_frees_its_quota(small: Shop) -> None:
    await small.handlers.put([item("a"), item("b"), item("a", tenant="other")])

    deleted = [await small.catalogue.delete_item(TENANT, "a") for _ in range(2)]
    await small.handlers.put([item("c")])

    assert deleted == [True, False]
    assert list(await names(small)) == ["b", "c"]
    rows = await small.rows("SELECT aggregateid, payload FROM outbox WHERE type = 'tombstone'")
    assert rows == [{"aggregateid": f"{TENANT}:a", "payload": None}]
    counts = await small.rows("SELECT tenant, kind, rows FROM catalogue_counts ORDER BY 1")
    assert counts == [
        {"tenant": "other", "kind": "items", "rows": 1},
        {"tenant": TENANT, "kind": "items", "rows": 2},
    ]
