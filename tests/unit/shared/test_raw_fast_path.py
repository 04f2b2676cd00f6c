"""The fast path in front of FastAPI: the same bytes, for plain requests only."""

from collections.abc import Mapping
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from shared.auth import AuthError, Principal, Scope
from shared.aws import WireModel, not_found
from shared.aws_server import Call, Operation, RestJson
from shared.aws_server.routes import MAX_BODY
from shared.http.fast_path import RawFastPath

PRINCIPAL = Principal(None, "000000000000", frozenset({"read"}), "sigv4")
PATH = "/recommendations"


class Named(WireModel):
    name: str


class Callers:
    """An authenticator that knows everybody but those with the key `wrong`."""

    def known(self, _: Mapping[str, Any]) -> Principal | None:
        return None

    def admit(self, principal: Principal, scope: Scope) -> Principal:
        return principal.may(scope)

    async def check_headers(self, scope: Mapping[str, Any], _: Scope | None = None) -> None:
        await self.of_scope(scope, b"")

    async def of_scope(self, scope: Mapping[str, Any], _: bytes) -> Principal:
        if (b"x-api-key", b"wrong") in scope["headers"]:
            raise AuthError(
                401, "UnknownKey", "This key is not known.", aws_code="UnrecognizedClientException"
            )
        return PRINCIPAL


class Long:
    """The FastAPI application, which notes what comes to it."""

    def __init__(self, routes: RestJson) -> None:
        self.taken = 0
        self._app = FastAPI(redirect_slashes=False)
        self._app.include_router(routes.router())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.taken += 1
        await self._app(scope, receive, send)


async def _handle(call: Call, request: Named) -> dict[str, Any]:
    if request.name == "nobody":
        raise not_found("There is nobody of this name.")
    call.answer_headers.append((b"x-seen", b"yes"))
    return {"hello": request.name}


@pytest.fixture
def routes() -> RestJson:
    operation = Operation("GetRecommendations", Named, "read", _handle)
    return RestJson(cast("Any", Callers()), {PATH: operation})


@pytest.fixture
def long(routes: RestJson) -> Long:
    return Long(routes)


def client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b'{"name": "x"}', {}, 200),
        (b'{"name": "nobody"}', {}, 404),
        (b'{"name": 7}', {}, 400),
        (b"{", {}, 400),
        (b"", {}, 400),
        (b'{"name": "x"}', {"x-api-key": "wrong"}, 403),
    ],
)
async def test_both_ways_give_the_same_answer(
    routes: RestJson, long: Long, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with client(RawFastPath(long, routes)) as short_way, client(long) as long_way:
        short = await short_way.post(PATH, content=content, headers=headers)
        assert long.taken == 0
        other = await long_way.post(PATH, content=content, headers=headers)

    assert short.status_code == other.status_code == status
    assert short.content == other.content
    # Each answer has an id of its own.
    assert short.headers.pop("x-amzn-requestid") != other.headers.pop("x-amzn-requestid")
    assert list(short.headers.raw) == list(other.headers.raw)


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status"),
    [
        ("POST", PATH, b"{}" + b" " * MAX_BODY, {}, 400),
        ("POST", PATH, b'{"name": "x"}', {"origin": "https://shop.example"}, 200),
        ("POST", f"{PATH}/more", b'{"name": "x"}', {}, 404),
        ("GET", PATH, b"", {}, 405),
    ],
)
async def test_what_is_not_plain_takes_the_long_way(
    routes: RestJson, long: Long, method: str, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with client(RawFastPath(long, routes)) as http:
        answer = await http.request(method, path, content=content, headers=headers)

    assert (answer.status_code, long.taken) == (status, 1)


async def test_a_body_of_unknown_length_takes_the_long_way(routes: RestJson, long: Long) -> None:
    async def streamed() -> Any:
        yield b'{"name": '
        yield b'"x"}'

    async with client(RawFastPath(long, routes)) as http:
        answer = await http.post(PATH, content=streamed())

    assert (answer.json(), long.taken) == ({"hello": "x"}, 1)


async def test_a_body_in_pieces_is_joined_and_one_that_ends_early_is_not_answered(
    routes: RestJson, long: Long
) -> None:
    headers = [(b"content-length", b"13")]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers}
    first = {"type": "http.request", "body": b'{"name": ', "more_body": True}

    async def answered(*messages: dict[str, Any]) -> list[dict[str, Any]]:
        left, sent = list(messages), list[dict[str, Any]]()

        async def receive() -> dict[str, Any]:
            return left.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        await RawFastPath(long, routes)(scope, receive, send)
        return sent

    whole = await answered(first, {"type": "http.request", "body": b'"x"}'})
    assert (whole[0]["status"], whole[1]["body"]) == (200, b'{"hello":"x"}')
    assert await answered(first, {"type": "http.disconnect"}) == []
