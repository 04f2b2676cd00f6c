"""The ERP's lists over real HTTP with faults: no order is lost or doubled, and changed statuses count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from services.sync.store import Pulls, Sources, source_api
from services.sync.worker import Puller
from shared.errors import Permanent, Transient
from tests.integration.sync.inbox import SourceOfShop
from tests.integration.sync.runs import a_run
from tests.integration.sync.shop import TENANT, Shop
from tests.support.erp import TOKEN, Erp, running_erp
from tests.support.tenants import SECRET_KEY

TODAY = datetime.now(ZoneInfo("Asia/Karachi")).date()
"""The day at the ERP, whose zone is that of the sources below."""
DAYS = [str(TODAY - timedelta(days=back)) for back in range(6, -1, -1)]
A_DAY = 5
"""Orders of a list on each day."""
ORDERS = 2 * len(DAYS) * A_DAY


@pytest.fixture
def erp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Erp]:
    """Seven days of both lists, whose ids collide; pauses between attempts are short."""
    monkeypatch.setattr(source_api, "MAX_PAUSE_SECONDS", 0.01)
    with running_erp() as running:
        for place, day in enumerate(DAYS):
            for number in range(A_DAY):
                running.add("store", day, place * 100 + number)
                running.add("online", day, place * 100 + number)
        yield running


class Pulling:
    """A source that is read, and its runs."""

    def __init__(self, shop: Shop, source: SourceOfShop) -> None:
        self.shop, self.source = shop, source
        self.sources = Sources(shop.pool, SecretStr(SECRET_KEY))
        self.pulls = Pulls(shop.pool)
        self.saved: dict[str, Any] = {}

    @classmethod
    async def add(cls, shop: Shop, erp: Erp, **config: Any) -> Pulling:
        sources = Sources(shop.pool, SecretStr(SECRET_KEY))
        whole = {"kind": "erp", "base_url": erp.url, "start_date": DAYS[0], "timezone": "Asia/Karachi",
                 "requests_per_second": 100, "every_hours": 6, "full_every_days": 7} | config  # fmt: skip
        assert await sources.add(TENANT, "erp", whole, {"token": TOKEN}, enabled=True)
        (source,) = await sources.of_tenant(TENANT, "erp")
        return cls(shop, SourceOfShop(shop, source.id))

    async def run(self, *, full: bool = False, allow_internal: bool = True) -> None:
        """Run once and merge what came."""
        await Puller(self.sources, self.pulls, allow_internal=allow_internal).run(
            a_run(self.shop, self.source.id, full=full, progress=self.saved)
        )
        self.saved = {}
        await self.source.merge()

    async def orders(self) -> list[dict[str, Any]]:
        """The orders of the shop, by id."""
        return await self.shop.rows("SELECT * FROM orders ORDER BY order_id")


async def test_both_lists_are_read_in_their_own_shapes(shop: Shop, erp: Erp) -> None:
    pulling = await Pulling.add(shop, erp, currency="PKR")

    await pulling.run()

    orders = {row["order_id"]: row for row in await pulling.orders()}
    assert len(orders) == ORDERS
    online, store = orders["oe-0"], orders["pos-0"]
    midnight = datetime.fromisoformat(f"{DAYS[0]}T00:00:00+05:00")
    assert (online["ordered_at"], store["ordered_at"]) == (midnight + timedelta(hours=10), midnight)
    assert (online["province"], store["province"], store["city"]) == ("Punjab", "Sindh", "Karachi")
    assert online["unified_customer_id"] == store["unified_customer_id"] == "03000_Name 0"
    assert (online["status"], online["currency"]) == ("delivered", "PKR")
    (line,) = await shop.rows("SELECT price, remaining FROM order_items WHERE order_id = 'oe-0'")
    assert line == {"price": 1200, "remaining": 1}


@pytest.mark.parametrize("fault", ["429", "500", "cut", "garbage"])
async def test_a_fault_now_and_then_loses_and_doubles_nothing(shop: Shop, erp: Erp, fault: str) -> None:
    erp.faults = ["ok", fault, fault, "ok", fault] * 4
    pulling = await Pulling.add(shop, erp)

    await pulling.run()

    assert len(await pulling.orders()) == ORDERS
    assert len(await shop.published("orders-v1")) == ORDERS
    assert not erp.faults


@pytest.mark.parametrize("fault", ["429", "500", "cut", "garbage"])
async def test_an_error_is_never_an_empty_day(shop: Shop, erp: Erp, fault: str) -> None:
    """The run stops where the source is away, and its next attempt continues there."""
    pulling = await Pulling.add(shop, erp)
    erp.faults = ["ok"] * 3 + [fault] * source_api.ATTEMPTS
    with pytest.raises(Transient):
        await pulling.run()
    assert len(await pulling.orders()) == 0
    earlier = len(erp.requests)

    await pulling.run()

    assert len(await pulling.orders()) == ORDERS
    assert erp.requests[earlier]["start_date"] == DAYS[3]
    assert len(await shop.published("orders-v1")) == ORDERS


async def test_an_answer_that_is_cut_without_a_word_is_asked_for_again_in_parts(shop: Shop, erp: Erp) -> None:
    pulling = await Pulling.add(shop, erp, window_days=7, limit=25, reread_days=0)

    await pulling.run()

    assert len(await pulling.orders()) == ORDERS


async def test_a_cap_below_the_limit_is_noticed(shop: Shop, erp: Erp) -> None:
    for number in range(5_000, 5_080):
        erp.add("online", DAYS[2], number)
    erp.cap = 50
    pulling = await Pulling.add(shop, erp, window_days=7)

    await pulling.run()

    (source,) = await pulling.sources.of_tenant(TENANT, "erp")
    assert len(source.pull_warnings) == 1
    assert DAYS[2] in source.pull_warnings[0]
    assert len(await pulling.orders()) == 7 * A_DAY + 6 * A_DAY + 50


async def test_later_statuses_are_read_again_and_unchanged_orders_are_not_merged(
    shop: Shop, erp: Erp
) -> None:
    pulling = await Pulling.add(shop, erp, reread_days=3)
    await pulling.run()
    erp.orders["online"][DAYS[-2]][0]["order_status"] = "Cancelled Orders"
    erp.orders["online"][DAYS[0]][0]["order_status"] = "Returned"

    earlier = len(erp.requests)
    await pulling.run()

    assert {request["start_date"] for request in erp.requests[earlier:]} == set(DAYS[-4:])
    assert len(await shop.rows("SELECT 1 FROM inbox")) == ORDERS + 1
    (cancelled,) = [event for event in await shop.published("orders-v1") if "cancels" in event]
    assert cancelled["cancels"] == "oe-500"
    await pulling.run(full=True)
    assert len(await shop.rows("SELECT 1 FROM inbox")) == ORDERS + 2
    erp.orders["online"][DAYS[-2]][0]["order_status"] = "Delivered Orders"
    await pulling.run()
    remaining = await shop.rows("SELECT remaining FROM order_items WHERE order_id IN ('oe-500', 'oe-0')")
    assert sorted(row["remaining"] for row in remaining) == [0, 1]


async def test_orders_that_change_while_they_are_read_are_neither_lost_nor_doubled(
    shop: Shop, erp: Erp
) -> None:
    pulling = await Pulling.add(shop, erp)
    answer, calls = erp.answer, iter(range(10_000))

    def moving(topic: str, query: dict[str, str]) -> list[dict[str, Any]]:
        number = next(calls)
        erp.orders[topic][query["start_date"]].insert(0, erp.orders[topic][query["start_date"]].pop())
        erp.add(topic, DAYS[-1], 900 + number)
        return answer(topic, query)

    erp.answer = moving  # type: ignore[method-assign]
    await pulling.run()
    erp.answer = answer  # type: ignore[method-assign]
    await pulling.run()

    expected = sum(len(orders) for days in erp.orders.values() for orders in days.values())
    assert len(await pulling.orders()) == expected == len(await shop.published("orders-v1"))


async def test_damaged_orders_wait_for_a_person_and_the_others_go_on(shop: Shop, erp: Erp) -> None:
    erp.add("online", DAYS[0], 777, lines=[{"title": "no id"}])
    erp.add("online", DAYS[0], 778, order_date="soon")
    erp.add("online", DAYS[0], 779, order_date="1900-01-01", customer_phone=None, customer_name=None)
    erp.add("store", DAYS[0], 780, lines={"sku": "S1", "quantity": "2", "unit_price": "5", "price": 10})
    pulling = await Pulling.add(shop, erp)

    await pulling.run()

    orders = {row["order_id"]: row for row in await pulling.orders()}
    assert len(orders) == ORDERS + 2
    assert orders["oe-779"]["unified_customer_id"] is None
    assert orders["oe-779"]["ordered_at"] == datetime.fromisoformat(f"{DAYS[0]}T00:00:00+05:00")
    (line,) = await shop.rows(
        "SELECT product_id, quantity, price FROM order_items WHERE order_id = 'pos-780'"
    )
    assert line == {"product_id": "S1", "quantity": 2, "price": 5}
    failed = await shop.rows("SELECT reason FROM inbox WHERE status = 'failed' ORDER BY seq")
    assert len(failed) == 2


async def test_a_wrong_token_and_an_internal_address_are_refused_with_a_sentence(
    shop: Shop, erp: Erp
) -> None:
    pulling = await Pulling.add(shop, erp)
    with pytest.raises(Permanent, match="internal address"):
        await pulling.run(allow_internal=False)
    await pulling.sources.change(
        TENANT,
        "erp",
        (await pulling.sources.of_tenant(TENANT, "erp"))[0].config,
        {"token": "old"},
        enabled=True,
    )
    with pytest.raises(Permanent, match="refuses the token"):
        await pulling.run()


async def test_a_source_is_due_once_and_again_after_its_hours(shop: Shop, erp: Erp) -> None:
    pulling = await Pulling.add(shop, erp)

    assert [await pulling.pulls.begin_due() for _ in range(2)] == [1, 0]
    assert await pulling.pulls.want(TENANT, "erp", full=True) == 1
    assert await pulling.pulls.begin_due() == 0, "it runs"
    await shop.pool.execute("UPDATE jobs SET status = 'done', lease_until = NULL")
    assert await pulling.pulls.begin_due() == 1
