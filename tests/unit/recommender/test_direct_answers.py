"""A direct answer has the bytes of the application's answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

from services.recommender.api.replies import Reply
from services.recommender.api.rest import RestRoutes
from services.recommender.api.rest_fast_path import RestFastPath
from services.recommender.domain.recipes import USER
from shared.auth import Authenticator
from shared.experiments import BACKEND, PREFIX
from shared.http.runtime import application
from shared.settings import AuthSettings

HEADERS = {"x-api-key": "between-services", "x-endcap-tenant": "shop"}
HEAD = b"HTTP/1.1 200 OK\r\ndate: today\r\n"


class Answers:
    """A stub whose answers name the request."""

    def __init__(self, generation: int | None, assigned: Any) -> None:
        self._made = generation, assigned

    async def for_user(self, tenant: str, identifier: str, limit: int, *rest: Any) -> Reply:
        strategy, recipe, *_ = rest
        generation, assigned = self._made
        body = f'{{"{tenant} {identifier} {limit} {strategy} {recipe}":0}}'.encode()
        return Reply(body, b"redis", generation, b"RID-1", assigned)

    async def for_item(self, *arguments: Any) -> Reply:
        return await self.for_user(*arguments[:5])

    async def message(self, tenant: str, user_id: str, limit: int, head: bytes) -> bytes:
        """As `UsualLists`."""
        return (await self.for_user(tenant, user_id, limit, None, USER)).message(head)

    def for_backend(self, _tenant: str, reply: Reply) -> Reply:
        return replace(reply, body=reply.body + b" ")


@pytest.mark.parametrize(
    ("generation", "assigned"), [(7, ()), (None, ((b"x-experiment", b"home;v=1"), (b"x-variant", b"a")))]
)
@pytest.mark.parametrize(
    "url",
    [
        f"{PREFIX}/recommendations/u1",
        f"{PREFIX}/recommendations/J%C3%BCrgen%20x?limit=3",
        f"{PREFIX}/item-affinity/u1?num_results=3",
        f"{PREFIX}/similar-items/i1?numResults=100",
        f"{BACKEND}/i1",
    ],
)
async def test_both_ways_answer_alike(url: str, generation: int | None, assigned: Any) -> None:
    settings = AuthSettings(endcap_service_key=SecretStr("between-services"))
    authenticator = Authenticator(cast("Any", None), settings)
    answers = cast("Any", Answers(generation, assigned))
    nothing = cast("Any", None)
    routes = RestRoutes(answers, nothing, nothing, authenticator)
    app = application("recommender", parts=[], routers=[routes.router()])
    fast_path = RestFastPath(app, answers, answers, authenticator)
    raw_headers = {name.encode(): value.encode() for name, value in HEADERS.items()}

    answer = fast_path.direct(url.encode(), raw_headers, HEAD)
    assert answer is not None
    head, _, body = (await answer).partition(b"\r\n\r\n")
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
        f"{PREFIX}/recommendations/u1?limit=0",
        f"{PREFIX}/recommendations/u1?limit=5&x=1",
        f"{PREFIX}/recommendations/u1#x",
        f"{PREFIX}/recommendations/ü",
        f"{PREFIX}/recommendations/a/b",
        f"{PREFIX}/recommendations/%00",
        f"{PREFIX}/recommendations/by-location",
        f"{PREFIX}/status",
        "http://host/api/v1/personalize/recommendations/u1",
    ],
)
async def test_other_requests_are_left_to_the_application(url: str) -> None:
    settings = AuthSettings(endcap_service_key=SecretStr("between-services"))
    nothing = cast("Any", None)
    fast_path = RestFastPath(nothing, nothing, nothing, Authenticator(nothing, settings))
    raw_headers = {name.encode(): value.encode() for name, value in HEADERS.items()}

    assert fast_path.direct(url.encode(), raw_headers, HEAD) is None
