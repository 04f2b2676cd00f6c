"""The fast path of placements takes plain queries only, and has the bytes of the application's answer."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

from services.recommender.api.placement_fast_path import PlacementFastPath, parsed
from services.recommender.api.placements import PREFIX, PlacementRoutes
from services.recommender.api.replies import Reply
from services.recommender.serving.placements.request import PlacementRequest
from shared.auth import Authenticator
from shared.errors import ApiError
from shared.http.runtime import application
from shared.settings import AuthSettings

HEADERS = {"x-api-key": "between-services", "x-endcap-tenant": "shop"}
RAW_HEADERS = {name.encode(): value.encode() for name, value in HEADERS.items()}
HEAD = b"HTTP/1.1 200 OK\r\ndate: today\r\n"
NOTHING = cast("Any", None)


class Answers:
    """A stub whose answers name the request."""

    async def reply(self, request: PlacementRequest) -> Reply:
        if request.placement == "unknown":
            raise ApiError(404, "UnknownPlacement", "There is no such placement.")
        return Reply(repr(request).encode(), b"redis", None if request.user_id is None else 7)


@cache
def ways() -> tuple[Any, PlacementFastPath]:
    """Return the application, and the fast path in front of it; neither remembers a request."""
    authenticator = Authenticator(NOTHING, AuthSettings(endcap_service_key=SecretStr("between-services")))
    answers = cast("Any", Answers())
    routes = PlacementRoutes(answers, NOTHING, NOTHING, authenticator)
    app = application("recommender", parts=[], routers=[routes.router()])
    return app, PlacementFastPath(app, answers, authenticator, lambda *_: NOTHING)


@pytest.mark.parametrize(
    "url",
    [
        f"{PREFIX}/home",
        f"{PREFIX}/home?user_id=u1&limit=7",
        f"{PREFIX}/J%C3%BCrgen%20x?userId=a%20b%26c&sessionId=s+1",
        f"{PREFIX}/cart?productId=i1&cart=a,b%2Cc&explain=1&city=K%C3%B6ln&columns=url,image_url",
    ],
)
async def test_all_ways_answer_alike(url: str) -> None:
    app, fast_path = ways()
    answer = fast_path.direct(url.encode(), RAW_HEADERS, HEAD)
    assert answer is not None
    message = await answer
    assert message is not None
    head, _, body = message.partition(b"\r\n\r\n")
    for way in (app, fast_path):
        transport = httpx.ASGITransport(way)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=HEADERS) as http:
            other = await http.get(url)
        assert other.content == body
        lines = [b"%b: %b\r\n" % header for header in other.headers.raw]
        assert HEAD + b"".join(lines) == head + b"\r\n"


@pytest.mark.parametrize(
    "url",
    [
        PREFIX,
        f"{PREFIX}/",
        f"{PREFIX}/home/stream",
        f"{PREFIX}/home%2Fstream",
        f"{PREFIX}/%00",
        f"{PREFIX}/{'x' * 64}",
        f"{PREFIX}/home#x",
        f"{PREFIX}/ü",
        f"{PREFIX}/home?limit=0",
        f"{PREFIX}/home?other=1",
    ],
)
def test_no_other_request_is_answered_directly(url: str) -> None:
    _, fast_path = ways()
    assert fast_path.direct(url.encode(), RAW_HEADERS, HEAD) is None


def test_a_caller_without_a_key_is_not_answered_directly() -> None:
    _, fast_path = ways()
    assert fast_path.direct(f"{PREFIX}/home".encode(), {}, HEAD) is None


async def test_the_application_answers_an_unknown_placement() -> None:
    _, fast_path = ways()
    answer = fast_path.direct(f"{PREFIX}/unknown".encode(), RAW_HEADERS, HEAD)
    assert answer is not None
    with pytest.raises(ApiError):
        await answer


def test_the_direct_path_of_other_requests_takes_the_rest() -> None:
    taken: list[bytes] = []
    fast_path = PlacementFastPath(NOTHING, NOTHING, NOTHING, lambda url, *_: taken.append(url))
    fast_path.direct(b"/api/v1/personalize/recommendations/u1", RAW_HEADERS, HEAD)
    assert taken == [b"/api/v1/personalize/recommendations/u1"]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (b"", {}),
        (b"user_id=u1&limit=7", {"user_id": "u1", "limit": 7}),
        (b"userId=a%20b%26c&sessionId=s+1", {"user_id": "a b&c", "session_id": "s 1"}),
        (b"productId=i1&cart=a,b%2Cc", {"item_id": "i1", "cart": ("a", "b", "c")}),
        (b"explain=1&city=K%C3%B6ln", {"explain": True, "city": "Köln"}),
    ],
)
def test_known_parameters_are_read(query: bytes, fields: dict[str, Any]) -> None:
    assert parsed(query) == fields


@pytest.mark.parametrize(
    "query",
    [
        b"other=1",
        b"user_id=",
        b"user_id",
        b"user_id=a&userId=a",
        b"limit=0",
        b"limit=101",
        b"limit=1.5",
        b"explain=maybe",
        b"user_id=%00",
        b"user_id=%FF",
        b"user_id=" + b"x" * 257,
        b"cart=" + b",".join([b"i"] * 101),
        b"cart=" + b"x" * 257,
        "user_id=ü".encode(),
        b"&",
    ],
)
def test_the_application_handles_everything_else(query: bytes) -> None:
    assert parsed(query) is None
