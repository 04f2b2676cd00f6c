"""The edge of the shop: its path, headers of every answer, and the refusal of other sites' forms."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.shop.settings import Settings


def content_security_policy(settings: Settings) -> str:
    """Return the policy: the shop's own files, and Endcap's kit and API. No script or style is inline."""
    origins = sorted(
        {f" {origin}" for url in (settings.public_url, settings.kit_url) if (origin := _origin(url))}
    )
    own = "'self'" + "".join(origins)
    return (
        f"default-src 'none'; script-src {own}; connect-src {own}; style-src 'self'; "
        "img-src 'self' data:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


class Edge:
    """Adds the headers. A POST whose Origin is another site is a 403, beside the cookie's SameSite.

    Requests arrive with the root path, behind a gateway, or without it.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._root_path = settings.root_path
        self._headers = {
            "content-security-policy": content_security_policy(settings),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(f"{self._root_path}/"):
            scope["root_path"] = self._root_path

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        if scope["method"] == "POST" and not _is_own(Headers(scope=scope)):
            refusal = PlainTextResponse("This form was sent by a page of another site.", 403)
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _is_own(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc in {headers.get("host"), headers.get("x-forwarded-host")}
