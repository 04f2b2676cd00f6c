"""Every page and every change is allowed to the roles that docs/dashboard.md names, and to no other."""

from __future__ import annotations

import re
from functools import cache
from typing import get_args

import httpx
import pytest

from services.dashboard.domain.roles import ROLES, Role, has_role, role_of_scopes
from services.dashboard.store.sessions import Person
from shared.auth import PAIR_SCOPES
from tests.architecture.source import ROOT
from tests.contract.access import routes
from tests.unit.dashboard.site import CSRF, absent, application, browser

EVERYBODY = "everybody"


def declared() -> dict[str, str]:
    """The role of each route in the page."""
    text = (ROOT / "docs/dashboard.md").read_text()
    _, _, table = text.partition("| route | role |\n|---|---|\n")
    rows = [line.strip("|").split("|") for line in table.split("\n\n")[0].splitlines()]
    return {name: role.strip() for names, role in rows for name in re.findall(r"`([^`]+)`", names)}


@cache
def existing() -> list[str]:
    """The routes below the root; the root itself leads to the first page."""
    names = [route.name for route in routes("dashboard", application())]
    return [name for name in names if re.match(r"\w+ /dashboard/\w", name)]


def test_the_page_names_every_route() -> None:
    assert sorted(declared()) == sorted(existing())
    assert {*declared().values()} <= {*ROLES, EVERYBODY}


@pytest.mark.parametrize("role", [None, *get_args(Role)])
async def test_each_role_reaches_what_the_page_says(
    role: Role | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person("ann", "shop", role) if role else None
    refused = set()

    async with browser(monkeypatch, person, absent) as client:
        for name in existing():
            method, path = name.split(" ")
            answer = await client.request(method, re.sub(r"{\w+(:path)?}", "1", path), data=_form(method))
            if _is_refused(answer, person):
                refused.add(name)

    expected = {
        name
        for name, needed in declared().items()
        if needed != EVERYBODY and (role is None or not has_role(role, needed))
    }
    assert refused == expected


def _form(method: str) -> dict[str, str] | None:
    return {"csrf": CSRF} if method == "POST" else None


def _is_refused(answer: httpx.Response, person: Person | None) -> bool:
    if person is None:
        return answer.status_code == 303 and answer.headers["location"].startswith("/dashboard/sign-in")
    return answer.status_code == 403 and "MissingRole" in answer.text


@pytest.mark.parametrize(
    ("scopes", "role"),
    [
        (["ingest"], None),
        (["ingest", "catalogue"], None),
        (["read"], "viewer"),
        (["read", "catalogue"], "viewer"),
        (["read", "catalogue", "placements"], "merchandiser"),
        (PAIR_SCOPES, "admin"),
        ([], None),
    ],
)
def test_the_scopes_of_a_key_give_a_role(scopes: list[str], role: str | None) -> None:
    assert role_of_scopes(scopes) == role
