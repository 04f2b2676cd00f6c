"""The router returns what the recommender answers."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

from services.router.api.proxy import ProxyRoutes, RestFastPath, scope_of
from services.router.store.upstream_connection import Reply
from shared.auth import Authenticator
from shared.errors import unavailable
from shared.experiments import BACKEND, PREFIX
from shared.http import UNKNOWN_PARAMETERS
from shared.http.runtime import application
from shared.settings import AuthSettings, HttpSettings

HEADERS = {"x-api-key": "between-services", "x-endcap-tenant": "shop"}


class Recommender:
    """A stub that knows the parameter `limit` alone."""

    async def get(self, _tenant: str, target: bytes, head: bytes, device: str | None) -> bytes:
        reply = self._reply(target)
        if device is not None:
            reply.headers.append((b"x-sent-device", device.encode()))
        return reply.message(head)

    def _reply(self, target: bytes) -> Reply:
        query = target.decode().partition("?")[2]
        if "broken" in query:
            raise unavailable("The recommender")
        headers = [(b"content-type", b"application/json")]
        if query and not query.startswith("limit="):
            headers.append((UNKNOWN_PARAMETERS.encode(), query.partition("=")[0].encode()))
        return Reply(404 if "missing" in query else 200, headers, b"{}")

    async def call(self, tenant: str, method: str, target: bytes, *sent: Any) -> Reply:
        if method == "GET":
            return self._reply(target)
        headers = [(b"content-type", b"application/json")]
        return Reply(200, headers, repr((tenant, method, target, *sent)).encode())


def fast_path() -> RestFastPath:
    settings = AuthSettings(endcap_service_key=SecretStr("between-services"))
    return RestFastPath(cast("Any", Recommender()), Authenticator(cast("Any", None), settings))


async def direct(url: str, headers: dict[str, str] = HEADERS) -> tuple[bytes, dict[str, str], bytes] | None:
    """Return the status line, the headers and the body of a direct answer."""
    names = {name.encode(): value.encode() for name, value in headers.items()}
    answer = fast_path().direct(url.encode(), names, b"HTTP/1.1 200 OK\r\ndate: today\r\n")
    if answer is None:
        return None
    head, _, body = (await answer).partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return status, dict(line.decode().split(": ", 1) for line in lines), body


PATHS = [f"{PREFIX}/recommendations/u1", BACKEND, f"{BACKEND}/i1"]
QUERIES = [("", None), ("?limit=5", None), ("?limti=5", "limti")]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("query", "names"), QUERIES)
async def test_unknown_parameters_are_those_of_the_recommender(
    path: str, query: str, names: str | None
) -> None:
    settings = AuthSettings(endcap_service_key=SecretStr("between-services"))
    authenticator = Authenticator(cast("Any", None), settings)
    app = application(
        "router",
        parts=[],
        routers=[ProxyRoutes(cast("Any", Recommender()), cast("Any", Recommender()), authenticator).router()],
        http=HttpSettings(http_report_unknown_parameters=True),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=HEADERS) as http:
        answer = await http.get(f"{path}{query}")

    assert answer.status_code == 200
    assert answer.headers.get_list(UNKNOWN_PARAMETERS) == ([] if names is None else [names])
    assert "date" not in answer.headers


async def test_a_preview_is_passed_on_with_its_body() -> None:
    settings = AuthSettings(endcap_service_key=SecretStr("between-services"))
    authenticator = Authenticator(cast("Any", None), settings)
    routes = ProxyRoutes(cast("Any", None), cast("Any", Recommender()), authenticator)
    app = application("router", parts=[], routers=[routes.router()])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=HEADERS) as http:
        answer = await http.post("/v1/placements/home/preview?requests=5", content=b'{"strategies":[]}')

    assert answer.status_code == 200
    target = b"/v1/placements/home/preview?requests=5"
    headers = {"content-type": "application/json"}
    assert answer.text == repr(("shop", "POST", target, b'{"strategies":[]}', headers))


@pytest.mark.parametrize("path", [PATHS[0], f"{BACKEND}/i1"])
@pytest.mark.parametrize(("query", "names"), QUERIES)
async def test_a_direct_answer_is_the_recommender_s(path: str, query: str, names: str | None) -> None:
    status, headers, body = await direct(f"{path}{query}") or (b"", {}, b"")

    assert (status, body) == (b"HTTP/1.1 200 OK", b"{}")
    assert headers == {"date": "today", "content-type": "application/json", "content-length": "2"} | (
        {UNKNOWN_PARAMETERS: names} if names else {}
    )


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        (f"{PREFIX}/recommendations/u1", "recommend"),
        (f"{PREFIX}/recommendations/by-location", "read"),
        (f"{PREFIX}/recommendations/by-segment/", "read"),
        (f"{PREFIX}/status", "read"),
        (f"{BACKEND}/i1", "recommend"),
    ],
)
def test_the_customers_of_a_place_are_not_for_pages(path: str, scope: str) -> None:
    assert scope_of(path) == scope


async def test_a_direct_error_has_its_status_and_the_headers_of_the_server() -> None:
    missing = await direct(f"{BACKEND}/i1?missing=1")
    broken = await direct(f"{BACKEND}/i1?broken=1")

    assert missing is not None
    assert broken is not None
    assert missing[0] == b"HTTP/1.1 404 Not Found"
    assert missing[1]["date"] == "today"
    assert broken[0] == b"HTTP/1.1 503 Service Unavailable"
    assert broken[1]["retry-after"] == "1"
    assert int(broken[1]["content-length"]) == len(broken[2])
    assert b"Unavailable" in broken[2]


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        (f"{PREFIX}/recommendations/u1?strategy=popularity", HEADERS),  # a model may take long
        (f"{PREFIX}/recommendations/u1", {"x-api-key": "unknown"}),
        (f"{PREFIX}/recommendations/u1", {}),
        ("/v1/experiments", HEADERS),
        ("/readyz", HEADERS),
    ],
)
async def test_other_requests_are_left_to_the_application(url: str, headers: dict[str, str]) -> None:
    assert await direct(url, headers) is None


async def test_the_device_of_a_request_is_passed_on() -> None:
    answer = await direct(f"{PREFIX}/recommendations/u1", HEADERS | {"user-agent": "Mozilla/5.0 (iPhone)"})
    assert answer is not None
    assert answer[1]["x-sent-device"] == "mobile"
