"""Query parameters of the REST routes: the names of the limit, guests, reserved words, misspelt names."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

from services.recommender.api.replies import Reply
from services.recommender.api.rest import RestRoutes
from services.recommender.api.rest_fast_path import RestFastPath
from services.recommender.api.shop_fields import for_backend
from services.recommender.domain.catalogue import Catalogue
from shared.auth import Authenticator
from shared.experiments import BACKEND, PREFIX
from shared.http.runtime import application
from shared.settings import AuthSettings, HttpSettings

HEADERS = {"x-api-key": "between-services", "x-endcap-tenant": "shop"}
UNKNOWN = "x-endcap-unknown-parameters"


class Answers:
    """A stub that records the limit of each request."""

    def __init__(self) -> None:
        self.limits: list[tuple[str, int]] = []

    async def for_user(self, _tenant: str, identifier: str, limit: int, *_: Any) -> Reply:
        self.limits.append((identifier, limit))
        return Reply(b'{"recommendations":[],"count":0}', b"popular", None)

    for_item = for_user

    def for_backend(self, _tenant: str, reply: Reply) -> Reply:
        return for_backend(reply, Catalogue())

    async def for_guest(self, _tenant: str, limit: int, *_: Any) -> Reply:
        self.limits.append(("", limit))
        return Reply(b'{"recommendations":[],"count":0}', b"popular", None)

    async def for_location(self, *arguments: Any) -> Reply:
        self.limits.append(("place", arguments[-1]))
        return Reply(b'{"recommendations":[],"count":0}', b"popular", None)


class Audiences:
    """Nobody lives anywhere."""

    async def of_place(self, *_: Any) -> bytes:
        return b'{"users":[]}'


@cache
def application_and_stub(*, fast_path: bool) -> tuple[Any, Answers]:
    """Make one for all tests: routes take 50 ms to build, and remember nothing."""
    answers = Answers()
    authenticator = Authenticator(
        cast("Any", None), AuthSettings(endcap_service_key=SecretStr("between-services"))
    )
    rest = RestRoutes(cast("Any", answers), cast("Any", None), cast("Any", Audiences()), authenticator)
    app = application(
        "recommender",
        parts=[],
        routers=[rest.router()],
        http=HttpSettings(http_report_unknown_parameters=True),
    )
    nothing = cast("Any", None)
    front = RestFastPath(app, cast("Any", answers), nothing, authenticator) if fast_path else app
    return front, answers


def client(answers: Answers, *, fast_path: bool = True) -> httpx.AsyncClient:
    front, stub = application_and_stub(fast_path=fast_path)
    stub.limits = answers.limits
    return httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://test", headers=HEADERS)


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize("name", ["limit", "num_results", "numResults"])
@pytest.mark.parametrize(
    "path",
    [
        f"{PREFIX}/recommendations/u1?",
        f"{PREFIX}/recommendations/item-affinity/u1?",
        f"{PREFIX}/item-affinity/u1?",
        f"{PREFIX}/recommendations/similar/i1?",
        f"{PREFIX}/similar-items/i1?",
        f"{PREFIX}/recommendations/by-location?country=Germany&",
        f"{BACKEND}?userId=u1&",
        f"{BACKEND}/i1?",
        f"{BACKEND}?",
    ],
)
async def test_the_limit_has_three_names_everywhere(path: str, name: str, *, fast_path: bool) -> None:
    answers = Answers()
    async with client(answers, fast_path=fast_path) as http:
        right = await http.get(f"{path}{name}=17")
        too_large = await http.get(f"{path}{name}=101")

    assert right.status_code == 200, right.text
    assert [limit for _, limit in answers.limits] == [17]
    assert UNKNOWN not in right.headers
    assert too_large.status_code == 400
    assert name in too_large.json()["detail"]


async def test_names_of_one_parameter_may_not_differ() -> None:
    answers = Answers()
    async with client(answers) as http:
        same = await http.get(f"{PREFIX}/recommendations/u1?limit=5&numResults=5")
        different = await http.get(f"{PREFIX}/recommendations/u1?limit=5&numResults=6")

    assert (same.status_code, different.status_code) == (200, 400)
    assert "limit, num_results, numResults" in different.json()["detail"]


@pytest.mark.parametrize("query", ["", "?userId=", "?unrelated=1"])
async def test_a_guest_has_no_id(query: str) -> None:
    answers = Answers()
    async with client(answers) as http:
        answer = await http.get(f"{BACKEND}{query}")

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "isFallback": True, "recommendations": [], "count": 0}
    assert answers.limits == [("", 10)]


@pytest.mark.parametrize(
    "path",
    ["by-segment", "by-segment?segment=champions", "by-segment/champions", "by-category", "similar",
     "item-affinity", "by-location/Berlin"],
)  # fmt: skip
async def test_a_reserved_word_is_not_a_user_id(path: str) -> None:
    answers = Answers()
    async with client(answers) as http:
        answer = await http.get(f"{PREFIX}/recommendations/{path}")

    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
    assert answers.limits == []


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (f"{PREFIX}/recommendations/u1?limti=5", "limti"),
        (f"{PREFIX}/recommendations/u1?limit=5&1=1&order_source=oe&1=2", "1, order_source"),
        (f"{PREFIX}/recommendations/u1?user_id=u1", "user_id"),
        (f"{PREFIX}/recommendations/u1?a%0d%0ab=1&%C3%BC=1&c+d", "a%0D%0Ab, %C3%BC, c%20d"),
        (f"{PREFIX}/recommendations/u1?limit=zero&limti=5", "limti"),
        (f"{PREFIX}/recommendations/u1?{'x' * 500}=1", "x" * 64),
        (f"{BACKEND}/i1?userId=u1&sessionId=s&user=u1", "user"),
        (f"{PREFIX}/recommendations/u1?limit=5&strategy=popularity", None),
        (f"{PREFIX}/recommendations/u1", None),
        ("/nowhere?limit=5", None),
    ],
)
async def test_unknown_parameters_are_reported(path: str, names: str | None) -> None:
    async with client(Answers()) as http:
        answer = await http.get(path)

    assert answer.headers.get(UNKNOWN) == names
