"""Protection of people: foreign forms and origins, redirects, escaping, headers, the limit of sign-ins."""

from __future__ import annotations

import pytest

from services.dashboard.pages.sign_in import _own_path
from services.dashboard.pages.site import Site
from services.dashboard.settings import Settings
from services.dashboard.store.sessions import Person, Sessions
from tests.unit.dashboard.site import ADDRESS, CSRF, browser

ANN = Person("<b>ann</b>", "shop", "admin")


@pytest.mark.parametrize(
    ("headers", "csrf", "status"),
    [
        ({"origin": ADDRESS}, CSRF, 303),
        ({}, CSRF, 303),
        ({"origin": ADDRESS}, "", 403),
        ({"origin": ADDRESS}, "0" * 64, 403),
        ({"origin": "http://evil.example"}, CSRF, 403),
        ({"origin": "null", "sec-fetch-site": "cross-site"}, CSRF, 403),
        ({"sec-fetch-site": "cross-site"}, CSRF, 403),
    ],
)
async def test_a_change_needs_a_form_of_the_session_and_the_own_origin(
    headers: dict[str, str], csrf: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser(monkeypatch, ANN) as client:
        answer = await client.post("/dashboard/sign-out", data={"csrf": csrf}, headers=headers)

    assert answer.status_code == status


async def test_the_token_of_a_form_may_come_in_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, ANN) as client:
        answer = await client.post("/dashboard/sign-out", headers={"x-csrf-token": CSRF})

    assert answer.status_code == 303


async def test_the_public_address_is_the_only_origin_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHBOARD_PUBLIC_URL", "https://people.example")
    async with browser(monkeypatch, ANN) as client:
        own = await client.post(
            "/dashboard/sign-out", data={"csrf": CSRF}, headers={"origin": "https://people.example"}
        )
        host = await client.post("/dashboard/sign-out", data={"csrf": CSRF}, headers={"origin": ADDRESS})

    assert (own.status_code, host.status_code) == (303, 403)


async def test_values_are_escaped_and_nothing_is_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, ANN) as client:
        page = await client.get("/dashboard/system")

    assert page.status_code == 200
    assert "&lt;b&gt;ann&lt;/b&gt;" in page.text
    assert "<b>ann" not in page.text
    assert " style=" not in page.text
    assert "<script>" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert page.headers["cache-control"] == "no-store"


async def test_a_page_names_the_services_that_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, ANN) as client:
        page = await client.get("/dashboard/system")

    assert "tracker does not answer" in page.text
    assert "0 of " in page.text


@pytest.mark.parametrize(
    ("to", "path"),
    [
        ("/dashboard/audit?before=3", "/audit?before=3"),
        ("", "/home"),
        ("//evil.example", "/home"),
        ("https://evil.example/dashboard/audit", "/home"),
        ("/dashboard//evil.example", "/home"),
        ("/dashboard/\\evil.example", "/home"),
        ("/dashboard/sign-in", "/home"),
        ("/elsewhere", "/home"),
    ],
)
def test_a_sign_in_leads_to_a_page_of_the_dashboard_only(to: str, path: str) -> None:
    class Fixed(Site):
        def __init__(self) -> None:
            self.root = "/dashboard"

        def home(self) -> str:
            return "/home"

    assert _own_path(to, Fixed()) == path


async def test_attempts_to_sign_in_are_limited_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: object) -> None:
        return None

    monkeypatch.setattr(Sessions, "person_of_key", nobody)
    attempts = int(Settings().sign_ins_per_minute)

    async with browser(monkeypatch, None) as client:
        answers = [
            await client.post("/dashboard/sign-in", data={"key": "ek_guess"}) for _ in range(attempts + 1)
        ]
        other = await client.post(
            "/dashboard/sign-in", data={"key": "ek_guess"}, headers={"x-forwarded-for": "192.0.2.7"}
        )

    assert [answer.status_code for answer in answers] == [401] * attempts + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert other.status_code == 401


async def test_a_session_that_ended_leads_back_to_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, None) as client:
        page = await client.get("/dashboard/audit", params={"before": 9})
        part = await client.get("/dashboard/system", headers={"hx-request": "true"})

    assert page.headers["location"] == "/dashboard/sign-in?to=%2Fdashboard%2Faudit%3Fbefore%3D9"
    assert part.headers["hx-redirect"] == "/dashboard/sign-in"


async def test_errors_are_pages_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, ANN) as client:
        missing = await client.get("/dashboard/nothing")
        invalid = await client.get("/dashboard/audit", params={"before": "x"})
        program = await client.get("/nothing")

    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert (invalid.status_code, "query.before" in invalid.text) == (400, True)
    assert program.json()["error"] == "NotFound"
