"""Ids that cannot be stored are rejected by the application and by the fast path."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

from services.recommender.api.replies import Reply
from services.recommender.api.rest import RestRoutes
from services.recommender.api.rest_fast_path import RestFastPath
from shared.auth import Authenticator
from shared.experiments import BACKEND, PREFIX
from shared.http.runtime import application
from shared.settings import AuthSettings

HEADERS = {"x-api-key": "between-services", "x-endcap-tenant": "shop"}


class Answers:
    """A stub that answers any request, and records the ids."""

    def __init__(self) -> None:
        self.requested: list[str] = []

    async def for_user(self, _tenant: str, identifier: str, *_: Any) -> Reply:
        self.requested.append(identifier)
        return Reply(b"{}", b"popular", None)

    for_item = for_user

    def for_backend(self, _tenant: str, reply: Reply) -> Reply:
        return reply

    async def for_location(self, _tenant: str, location: Any, _limit: int) -> Reply:
        self.requested += [name for name in location if name]
        return Reply(b"{}", b"popular", None)


class Audiences:
    """Nobody lives anywhere."""

    async def of_place(self, *_: Any) -> bytes:
        return b'{"users":[]}'


def client(answers: Answers) -> httpx.AsyncClient:
    settings = AuthSettings(endcap_service_key=SecretStr("between-services"))
    authenticator = Authenticator(cast("Any", None), settings)
    rest_answers = cast("Any", answers)
    rest = RestRoutes(rest_answers, cast("Any", None), cast("Any", Audiences()), authenticator)
    app = application("recommender", parts=[], routers=[rest.router()])
    transport = httpx.ASGITransport(
        RestFastPath(app, rest_answers, cast("Any", None), authenticator), raise_app_exceptions=False
    )
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers=HEADERS)


@pytest.mark.parametrize(
    "path",
    [
        f"{PREFIX}/recommendations/%00",
        f"{PREFIX}/recommendations/u%001?limit=3",
        f"{PREFIX}/recommendations/similar/%00",
        f"{PREFIX}/similar-items/i%00",
        f"{PREFIX}/item-affinity/%00",
        f"{PREFIX}/recommendations/u1?strategy=%00",
        f"{PREFIX}/recommendations/by-location?city=%00",
        f"{BACKEND}/%00",
        f"{BACKEND}?userId=%00",
    ],
)
async def test_a_nul_character_is_400(path: str) -> None:
    answers = Answers()
    async with client(answers) as http:
        answer = await http.get(path)

    assert answer.status_code == 400, answer.text
    assert "NUL" in answer.json()["detail"]
    assert answers.requested == []


@pytest.mark.parametrize("query", ["", "?limit=3", "?strategy=user-personalization"])
async def test_any_other_character_is_accepted(query: str) -> None:
    answers = Answers()
    async with client(answers) as http:
        answer = await http.get(f"{PREFIX}/recommendations/J%C3%BCrgen%01{query}")

    assert answer.status_code == 200, answer.text
    assert answers.requested == ["Jürgen\x01"]
