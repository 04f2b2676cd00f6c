"""The requests of the dashboard of an existing shop, through the gateway and with a read key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from urllib.parse import quote

import httpx
import pytest

from tests.support.shop import Shop
from tests.support.shop_dashboard import REPORTS, SERVING_AND_MODELS, Read, headers, missing, rows
from tests.support.waiting import PATIENCE, until

WITHOUT_ROWS = {
    "analytics/customers/at-risk",  # nobody with that many orders stayed away
    "analytics/order-status-breakdown",  # orders of files are neither of a source nor of a store
    "personalize/recommendations/by-segment",  # its limits are days before today and rupees
}


@pytest.fixture
def dashboard(shop: Shop) -> Iterator[httpx.Client]:
    """A client with the headers of that program, logged in with a read key."""
    address = shop.endcap.environment["ENDCAP_URL"]
    with httpx.Client(base_url=address, timeout=PATIENCE, headers=headers(None)) as http:
        login = {"email": "ann@shop.example", "password": shop.endcap.keys["read"]}
        token = http.post("/api/v1/auth/login", json=login).json()["access_token"]
        http.headers.update(headers(token))
        yield http


def test_every_request_has_the_members_that_are_read(shop: Shop, dashboard: httpx.Client) -> None:
    user = shop.buyer()
    province = next(row["province"] for row in shop.rows("orders") if row["user_id"] == user)
    names = {"user": user, "product": shop.rows("items")[0]["item_id"], "province": province}
    for read in (*REPORTS, *SERVING_AND_MODELS):
        path = read.path.format(**{name: quote(value, safe="") for name, value in names.items()})
        # The reports are computed again after the first training run.
        until(
            partial(problems, dashboard, path, read),
            f"{path} has the members that are read",
            enough=lambda wrong: not wrong,
        )


def problems(dashboard: httpx.Client, path: str, read: Read) -> list[str]:
    """Return what is wrong with the answer to a request: its text, or members that are missing or empty."""
    answer = dashboard.get(f"/api/v1/{path}")
    if answer.status_code != 200:
        return [answer.text]
    body = answer.json()
    wrong = [*missing(body, read.members), *missing(body, read.needed)]
    if read.path.partition("?")[0] not in WITHOUT_ROWS:
        wrong += [where for where, count in rows(body, read.members).items() if not count]
    return wrong


def test_views_without_credentials_read_by_the_cookie_of_the_login(
    shop: Shop, dashboard: httpx.Client
) -> None:
    del dashboard.headers["authorization"]
    user = quote(shop.buyer(), safe="")
    read = [
        dashboard.get(f"/api/v1/{path}").status_code
        for path in ("analytics/cohorts", f"personalize/recommendations/{user}", "ml/status", "auth/me")
    ]
    exported = dashboard.get("/api/v1/analytics/cohorts", headers={"authorization": "Bearer null"})
    dashboard.headers["x-api-key"] = "ek_read_wrong"
    with_a_key = dashboard.get("/api/v1/analytics/cohorts")
    del dashboard.headers["x-api-key"]
    written = dashboard.post("/api/v1/ml/precompute")
    cookie = {"cookie": f"endcap_login={dashboard.cookies['endcap_login']}"}
    elsewhere = dashboard.get("/v1/items", headers=cookie)
    dashboard.cookies.clear()
    without = dashboard.get("/api/v1/analytics/cohorts")

    assert read == [200] * 4
    assert exported.status_code == 200
    refused = (with_a_key, written, elsewhere, without)
    assert [answer.status_code for answer in refused] == [401] * 4


def test_what_it_asks_for_once(shop: Shop, dashboard: httpx.Client) -> None:
    health = dashboard.get("/health")
    person = dashboard.get("/api/v1/auth/me")
    export = dashboard.get("/api/v1/export/dashboard-csv?time_filter=all&sections=ml_recommendations")
    refused = httpx.get(f"{dashboard.base_url}/api/v1/auth/me", headers=headers(None), timeout=PATIENCE)
    precompute = dashboard.post("/api/v1/ml/precompute")
    training = dashboard.post("/api/v1/ml/train?time_filter=all&force_retrain=false")
    known = shop.call("POST", "trainer", "/api/v1/ml/train?time_filter=all&force_retrain=false")

    assert (health.status_code, health.json()) == (200, {"status": "healthy", "service": "analytics"})
    assert (person.json()["is_active"], refused.status_code) == (True, 401)
    assert export.headers["content-disposition"].endswith('.csv"')
    assert precompute.json()["status"] in {"queued", "running"}
    assert training.status_code == 403  # a run needs a key with the scope admin
    assert known.json() == {"status": "trained", "successful_models": 3, "total_models": 3, "run": None}
