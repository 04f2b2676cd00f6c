"""The pages: what is shown is escaped, an order is sent once, and Endcap may be away."""

from __future__ import annotations

import re

import httpx
import pytest

from examples.shop.customers import Customer, sentence, varied
from tests.unit.shop.conftest import FakeEndcap

PAGES = (
    "", "categories/%3CTable%3E", "categories/Dining?page=2&sort=-price", "search?q=%3Cscript%3E", "search",
    "products/i-1", "products/gone", "cart", "login",
)  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
async def test_what_the_catalogue_and_visitors_say_is_escaped(shop: httpx.AsyncClient, page: str) -> None:
    await shop.post("login", data={"user_id": "c-1"})

    answer = await shop.get(page)

    assert answer.status_code == 200
    for raw in ("<b onclick", "<u>", "<i>", "<Table>", "<script>"):
        assert raw not in answer.text
    assert "Mug &lt;b onclick" in answer.text


@pytest.mark.parametrize("page", PAGES)
async def test_pages_have_no_inline_script_or_style(shop: httpx.AsyncClient, page: str) -> None:
    answer = await shop.get(page)

    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=[\"']|\sstyle=", answer.text)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


async def test_an_order_is_sent_line_by_line_and_shown(shop: httpx.AsyncClient, endcap: FakeEndcap) -> None:
    await shop.post("login", data={"user_id": "c-1"})
    await shop.post("cart", data={"item_id": "i-1", "quantity": 2})
    await shop.post("cart", data={"item_id": "i-2"})

    confirmation = await shop.post("checkout", data={"session_id": "s-1", "delivery": "express"})

    (events,) = endcap.events
    assert [(event["item_id"], event["quantity"], event["price"]) for event in events] == [
        ("i-1", 2, 12.5), ("i-2", 1, 12.5),
    ]  # fmt: skip
    assert {(event["user_id"], event["session_id"], event["event_type"]) for event in events} == {
        ("c-1", "s-1", "purchase")
    }
    assert confirmation.url.path == "/shop/order"
    assert events[0]["order_id"] in confirmation.text
    assert "€42.40" in confirmation.text
    assert (await shop.get("checkout")).url.path == "/shop/cart"


async def test_a_guest_without_scripts_has_the_session_of_the_order(
    shop: httpx.AsyncClient, endcap: FakeEndcap
) -> None:
    await shop.post("cart", data={"item_id": "i-1"})
    await shop.post("checkout")

    ((event,),) = endcap.events
    assert event["session_id"] == f"order:{event['order_id']}"
    assert "user_id" not in event


async def test_an_order_that_endcap_did_not_accept_is_sent_again_under_its_id(
    shop: httpx.AsyncClient, endcap: FakeEndcap
) -> None:
    await shop.post("cart", data={"item_id": "i-1"})
    endcap.away = True

    refused = await shop.post("checkout")
    refused_again = await shop.post("checkout")
    sent = [request.content for request in endcap.requests if request.url.path == "/v1/events"]
    endcap.away = False
    accepted = await shop.post("checkout")

    assert (refused.status_code, refused_again.status_code, accepted.status_code) == (503, 503, 200)
    assert "could not be placed" in refused.text
    ((event,),) = endcap.events
    assert all(event["order_id"].encode() in body for body in sent)


async def test_keys_are_used_for_what_they_are(shop: httpx.AsyncClient, endcap: FakeEndcap) -> None:
    await shop.post("cart", data={"item_id": "i-1"})
    await shop.post("checkout")

    for request in endcap.requests:
        key = "storefront" if request.url.path == "/v1/events" else "read"
        assert request.headers["x-api-key"] == key
    page = (await shop.get("")).text
    assert 'data-key="storefront"' in page
    assert "read-key" not in page


async def test_pages_go_on_while_endcap_is_away(shop: httpx.AsyncClient, endcap: FakeEndcap) -> None:
    await shop.get("products/i-1")
    endcap.away = True

    home, product, unknown = (
        await shop.get(""),
        await shop.get("products/i-1"),
        await shop.get("products/i-2"),
    )

    assert (home.status_code, product.status_code, unknown.status_code) == (200, 200, 503)
    assert "Mug" in home.text
    assert "try again" in unknown.text
    assert (await shop.get("pictures/i-2.svg")).status_code == 200


async def test_health_says_whether_the_catalogue_can_be_read(
    shop: httpx.AsyncClient, endcap: FakeEndcap
) -> None:
    endcap.away = True
    assert (await shop.get("health")).status_code == 503
    endcap.away = False
    assert (await shop.get("livez")).status_code == 200


@pytest.mark.parametrize(
    ("method", "page", "status"),
    [
        ("GET", "nothing", 404),
        ("GET", "products/9", 404),
        ("GET", "pictures/9.svg", 404),
        ("GET", "categories/Dining?page=0", 400),
        ("GET", "search?q=" + "x" * 300, 400),
        ("POST", "cart", 400),
        ("POST", "login", 400),
        ("DELETE", "cart", 405),
    ],
)
async def test_bad_requests_get_a_page_that_says_so(
    shop: httpx.AsyncClient, method: str, page: str, status: int
) -> None:
    answer = await shop.request(method, page)

    assert answer.status_code == status
    assert "Back to the shop" in answer.text


async def test_forms_of_other_sites_are_refused(shop: httpx.AsyncClient) -> None:
    data = {"item_id": "i-1"}

    assert (await shop.post("cart", data=data, headers={"origin": "http://evil.test"})).status_code == 403
    assert (await shop.post("cart", data=data, headers={"origin": "http://shop.test"})).status_code == 200


async def test_the_shop_also_answers_without_its_root_path(shop: httpx.AsyncClient) -> None:
    answer = await shop.get("http://shop.test/cart")

    assert answer.status_code == 200
    assert 'href="/shop/login"' in answer.text


async def test_a_login_is_remembered_and_a_logout_forgets(shop: httpx.AsyncClient) -> None:
    wrong = await shop.post("login", data={"user_id": "c-9"})
    home = await shop.post("login", data={"user_id": "c-1"})
    cookie = shop.cookies["endcap_shop"]
    guest = await shop.post("logout")

    assert wrong.status_code == 404
    assert 'data-user="c-1"' in home.text
    assert "Ada" not in cookie
    assert 'data-user=""' in guest.text


def test_a_sentence_says_what_somebody_bought() -> None:
    mug = {"product_name": "Mug", "category": "Dining"}

    assert sentence([]) == "Has not bought anything yet."
    assert sentence([mug]) == "Bought one thing, mostly Dining; last: Mug."
    assert sentence([{**mug, "product_name": "Tea", "category": "Tea"}, mug, mug]) == (
        "Bought 3 things, mostly Dining and Tea; last: Tea and Mug."
    )


def test_customers_with_different_likes_alternate() -> None:
    people = [
        Customer(str(number), "x", "", number, f"Bought 2 things, mostly {like}; last: y.")
        for number, like in enumerate(("Pets", "Pets", "Bath"), start=1)
    ]

    assert [customer.user_id for customer in varied(people)] == ["3", "2", "1"]
