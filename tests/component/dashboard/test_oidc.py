"""Signing in at a real OpenID Connect provider: who gets in, and which answers are refused."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from asgi_lifespan import LifespanManager

from services.dashboard import app as dashboard
from services.dashboard.settings import Settings
from tests.component.dashboard.conftest import ADDRESS
from tests.support.identity_provider import identity_provider, log_in
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY, SERVICE_KEY
from tests.support.waiting import PATIENCE

CALLBACK = f"{ADDRESS}/dashboard/sign-in/oidc/callback"
CLIENT = {"client_id": "endcap", "client_secret": "a secret / of tests", "redirect_uris": [CALLBACK]}
ACCOUNTS = {
    "ann": {"name": "Ann Example", "email": "ann@shop.example", "groups": ["staff", "shop-admins"]},
    "bob": {"name": "Bob", "groups": ["guests"]},
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with identity_provider(CLIENT, ACCOUNTS) as running:
        yield running


@pytest.fixture(scope="module")
async def pages(module_database: Database, issuer: str) -> AsyncIterator[httpx.ASGITransport]:
    """The dashboard with the provider; no other service answers."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_database.environment.items():
            patch.setenv(name, value)
        patch.setenv("ENDCAP_SECRET_KEY", SECRET_KEY)
        patch.setenv("ENDCAP_SERVICE_KEY", SERVICE_KEY)
        patch.setenv("DASHBOARD_SIGN_INS_PER_MINUTE", "1000")
        patch.setenv("DASHBOARD_OIDC_ISSUER", issuer)
        patch.setenv("DASHBOARD_OIDC_CLIENT_ID", CLIENT["client_id"])
        patch.setenv("DASHBOARD_OIDC_CLIENT_SECRET", str(CLIENT["client_secret"]))
        patch.setenv("DASHBOARD_OIDC_ROLES", '{"staff": "viewer", "shop-admins": "admin"}')
        patch.setenv("DASHBOARD_OIDC_TITLE", "Example Login")
        app = dashboard.build(Settings())
    async with LifespanManager(app) as manager:
        yield httpx.ASGITransport(manager.app)


@pytest.fixture
async def browser(pages: httpx.ASGITransport) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=pages, base_url=ADDRESS) as client:
        yield client


async def lead(browser: httpx.AsyncClient, to: str = "") -> str:
    """Begin a sign-in; return the address at the provider."""
    answer = await browser.get("/dashboard/sign-in/oidc", params={"to": to})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def test_a_person_signs_in_with_the_role_of_their_groups(browser: httpx.AsyncClient) -> None:
    form = await browser.get("/dashboard/sign-in")
    address = await lead(browser, "/dashboard/audit?before=9")
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    back = await log_in(address, "ann")
    answer = await browser.get(back)
    page = await browser.get(answer.headers["location"])
    again = await browser.get(back)

    assert "Sign in with Example Login" in form.text
    assert query["code_challenge_method"] == "S256"
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/audit?before=9")
    assert page.status_code == 200
    assert "Ann Example (ann@shop.example)" in page.text
    assert "admin of default" in page.text
    assert again.status_code == 401


async def test_a_sign_out_leads_to_the_sign_out_of_the_provider(browser: httpx.AsyncClient) -> None:
    answer = await browser.get(await log_in(await lead(browser), "ann"))
    page = await browser.get(answer.headers["location"])
    csrf = re.search(r'name="csrf" value="(\w+)"', page.text)
    assert csrf is not None
    left = await browser.post("/dashboard/sign-out", data={"csrf": csrf[1]})
    after = await browser.get("/dashboard/audit")
    address = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', left.text)
    assert address is not None, left.text
    url = urlsplit(html.unescape(address[1]))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as provider:
        accepted = await provider.get(url.geturl())
        forged = await provider.get(url._replace(query=urlencode(query | {"id_token_hint": "x"})).geturl())

    assert (left.status_code, after.status_code) == (200, 303)
    assert after.headers["location"].startswith("/dashboard/sign-in")
    assert query["client_id"] == CLIENT["client_id"]
    assert "post_logout_redirect_uri" not in query
    assert (accepted.status_code, forged.status_code) == (200, 400)


async def test_a_person_without_a_role_does_not_get_in(browser: httpx.AsyncClient) -> None:
    answer = await browser.get(await log_in(await lead(browser), "bob"))

    assert answer.status_code == 403
    assert "has no role" in answer.text
    assert "endcap_session" not in answer.headers.get("set-cookie", "")


async def test_an_answer_counts_in_the_browser_that_began_alone(
    browser: httpx.AsyncClient, pages: httpx.ASGITransport
) -> None:
    back = await log_in(await lead(browser), "ann")
    async with httpx.AsyncClient(transport=pages, base_url=ADDRESS) as other:
        stranger = await other.get(back)
        await lead(other)
        victim = await other.get(back)

    assert [answer.status_code for answer in (stranger, victim)] == [401, 401]


@pytest.mark.parametrize(
    "changed",
    [{"state": "forged"}, {"code": "forged"}, {"iss": "https://login.example"}, {"error": "access_denied"}],
)
async def test_a_changed_answer_is_refused(browser: httpx.AsyncClient, changed: dict[str, str]) -> None:
    back = urlsplit(await log_in(await lead(browser), "ann"))
    query = {name: values[0] for name, values in parse_qs(back.query).items()} | changed

    answer = await browser.get(back._replace(query=urlencode(query)).geturl())

    assert answer.status_code == 401
    assert 'role="alert"' in answer.text


async def test_a_code_of_another_sign_in_is_refused(browser: httpx.AsyncClient) -> None:
    first = parse_qs(urlsplit(await log_in(await lead(browser), "ann")).query)
    second = urlsplit(await log_in(await lead(browser), "ann"))
    query = {name: values[0] for name, values in parse_qs(second.query).items()}

    answer = await browser.get(second._replace(query=urlencode(query | {"code": first["code"][0]})).geturl())

    assert answer.status_code == 401
