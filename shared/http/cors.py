"""Cross-origin requests (CORS): which pages of browsers may read the answers of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.middleware.cors import CORSMiddleware

from shared.http.parameters import UNKNOWN_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ORIGIN_REFUSED: Final = "endcap.origin_refused"
"""The entry of an ASGI scope whose request was refused because of its origin: CORS must not allow it."""

EXPOSED: Final = (
    "retry-after",
    "x-recs-source",
    "x-recs-generation",
    "x-experiment",
    "x-variant",
    "x-amzn-requestid",
    "x-amzn-errortype",
    UNKNOWN_PARAMETERS,
)
"""Headers that a page may read, beside those that the Fetch standard lists."""

MAX_AGE_SECONDS: Final = 86_400
"""How long a browser may remember a preflight: a day, which browsers shorten to what they allow."""


class Cors(CORSMiddleware):
    """CORS by the settings, except that no answer to a refused origin is readable by its page.

    A preflight carries no key (Fetch standard, CORS-preflight fetch), so the settings alone answer it.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        """Let pages of `origins` read what `app` answers; `*` is every origin, and without one it is none."""
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),  # SDKs add their own: x-retry-count, amz-sdk-invocation-id, …
            expose_headers=EXPOSED,
            max_age=MAX_AGE_SECONDS,
        )
        self._is_off = not origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or add the headers of CORS to the answer of the application."""
        if self._is_off or scope["type"] != "http" or (self.allow_all_origins and not _has_origin(scope)):
            await self.app(scope, receive, send)
            return

        async def send_checked(message: Message) -> None:
            if message["type"] == "http.response.start" and ORIGIN_REFUSED in scope:
                message["headers"] = [
                    (name, value)
                    for name, value in message["headers"]
                    if not name.startswith(b"access-control-")
                ]
            await send(message)

        await super().__call__(scope, receive, send_checked)


def _has_origin(scope: Scope) -> bool:
    """Return whether a page sent the request; 0.3 µs, which is what CORS costs all others."""
    for name, _ in scope["headers"]:  # noqa: SIM110 - a generator would take twice as long
        if name == b"origin":
            return True
    return False
