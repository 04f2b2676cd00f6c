"""Large bodies: the headers authenticate the caller before the body is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, Request
from pydantic import SecretStr
from starlette.types import ASGIApp

from services.tracker.api import Collector, Intake, event_routes
from services.tracker.api.events import ROUTE
from services.tracker.settings import Settings
from shared.auth import Authenticator, encrypt, hash_key, new_api_key, new_secret_key
from shared.auth.authenticator import MAX_SIGNED_BODY
from shared.aws import WireModel
from shared.aws_server import Json11, Operation, RestJson
from shared.http import SMALL_BODY_BYTES
from shared.http.runtime import application
from shared.settings import AuthSettings
from tests.support.signing import SECRET, signed

SECRET_KEY = new_secret_key()
INGEST, READ = new_api_key("ingest"), new_api_key("read")
LARGE = SMALL_BODY_BYTES + 1
Headers = list[tuple[bytes, bytes]]
PATHS = ("/", "/recommendations", "/v1/events", "/admin")


class Keys:
    """Stands for the two views of keys."""

    async def fetchrow(self, _: str, key: object) -> dict[str, Any] | None:
        pair = {
            "account": "000000000000",
            "secret_encrypted": encrypt(SECRET, SECRET_KEY),
            "scopes": ["ingest", "read", "admin"],
        }
        found: dict[object, dict[str, Any]] = {
            "ENDCEXAMPLE": pair,
            hash_key(INGEST): _key("ingest"),
            hash_key(READ): _key("read"),
        }
        return found.get(key)


def _key(kind: str) -> dict[str, Any]:
    return {"tenant": "t", "scopes": [kind], "kind": kind, "expires_at": None, "allowed_origins": None}


async def _nothing(*_: object) -> None:
    return None


@pytest.fixture(scope="module")
def app() -> ASGIApp:
    """An application with a route of each kind that takes large bodies."""
    authenticator = Authenticator(Keys(), AuthSettings(endcap_secret_key=SecretStr(SECRET_KEY)))  # type: ignore[arg-type]
    intake = Intake(None, authenticator, Settings())  # type: ignore[arg-type] # nothing is published
    operation = Operation("Ask", WireModel, "admin", _nothing)
    admin = APIRouter()

    @admin.post("/admin", dependencies=[Depends(authenticator.require("admin"))])
    async def read(request: Request) -> int:
        return len(await request.body())

    return application(
        "test",
        parts=[],
        routers=[
            Json11(authenticator, [operation]).router(),
            RestJson(authenticator, {"/recommendations": operation}).router(),
            event_routes(Collector(intake, authenticator, [ROUTE])),
            admin,
        ],
    )


class Sent:
    """A request that says how long its body is; what is sent of it is counted."""

    def __init__(self, path: str, headers: Headers, size: int | None, body: bytes = b"") -> None:
        length = (b"transfer-encoding", b"chunked") if size is None else (b"content-length", b"%d" % size)
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "http_version": "1.1",
            "client": ("10.0.0.1", 1),
            "headers": [*headers, length],
        }
        self.read = 0
        self.status = 0
        self._body = body

    async def receive(self) -> dict[str, Any]:
        self.read += 1
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)

    async def by(self, app: Callable[..., Any]) -> tuple[int, int]:
        """The status, and how often a part of the body was read."""
        await app(self.scope, self.receive, self.send)
        return self.status, self.read


def _signed(**options: Any) -> Headers:
    return signed(**options)[2]


def _old(headers: Headers) -> Headers:
    return [(name, b"20200101T000000Z" if name == b"x-amz-date" else value) for name, value in headers]


CALLERS: dict[str, Callable[[], Headers]] = {
    "nobody": list,
    "unknown key": lambda: [(b"x-api-key", b"ek_admin_unknown")],
    "another scope": lambda: [(b"x-api-key", READ.encode())],
    "unknown pair": lambda: _signed(access_key_id="ENDCUNKNOWN"),
    "signed long ago": lambda: _old(_signed()),
    "half a signature": lambda: [(b"authorization", b"AWS4-HMAC-SHA256 Credential=x")],
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("size", [LARGE, None], ids=["sized", "chunked"])
@pytest.mark.parametrize("caller", CALLERS)
async def test_a_large_body_of_an_unauthenticated_caller_is_not_read(
    app: ASGIApp, path: str, size: int | None, caller: str
) -> None:
    target = (b"x-amz-target", b"AmazonPersonalize.Ask")
    status, read = await Sent(path, [target, *CALLERS[caller]()], size).by(app)

    assert status in {401, 403} or (status == 400 and path in {"/", "/recommendations"})
    assert read == 0


@pytest.mark.parametrize("path", ["/", "/recommendations", "/admin"])
async def test_the_large_body_of_a_signed_request_is_read_and_checked(app: ASGIApp, path: str) -> None:
    body = b"{" + b" " * LARGE + b"}"
    target = {"x-amz-target": "AmazonPersonalize.Ask"}
    right = signed(f"http://127.0.0.1:8001{path}", body=body, headers=target)[2]

    assert await Sent(path, right, len(body), body).by(app) == (200, 1)
    status, read = await Sent(path, right, len(body), body[:-1] + b" ").by(app)
    assert (status in {400, 401, 403}, read) == (True, 1)


async def test_a_signed_body_has_a_limit(app: ASGIApp) -> None:
    status, read = await Sent("/admin", _signed(), MAX_SIGNED_BODY + 1).by(app)

    assert (status, read) == (413, 0)


async def test_a_large_body_with_the_right_key_is_read(app: ASGIApp) -> None:
    status, read = await Sent("/v1/events", [(b"x-api-key", INGEST.encode())], LARGE, b" " * LARGE).by(app)

    assert (status, read) == (400, 1), "it is read, and is no JSON"
