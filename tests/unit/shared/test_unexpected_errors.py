"""An unexpected exception becomes a 500 and keeps the connection open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from starlette.requests import ClientDisconnect

from shared.http.fast_path import FastPathApplication
from shared.http.unexpected_errors import UnexpectedErrors
from shared.settings import HttpSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def failing(error: Exception, *, begun: bool = False) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app


async def answered(app: Any) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    await app({"type": "http", "path": "/bug", "headers": []}, receive, send)
    return sent


@pytest.mark.parametrize(
    "served", [UnexpectedErrors, lambda app: FastPathApplication(app, app, HttpSettings())]
)
async def test_an_error_is_answered_and_not_raised_so_that_the_server_keeps_the_connection(
    served: Any,
) -> None:
    start, body = await answered(served(failing(KeyError("secret"))))

    assert start["status"] == 500
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    assert orjson.loads(body["body"]).keys() == {"error", "detail"}
    assert b"secret" not in body["body"]


async def test_an_answer_that_has_begun_breaks_off() -> None:
    with pytest.raises(KeyError):
        await answered(UnexpectedErrors(failing(KeyError(), begun=True)))


async def test_a_client_that_has_gone_gets_no_answer() -> None:
    assert await answered(UnexpectedErrors(failing(ClientDisconnect()))) == []
