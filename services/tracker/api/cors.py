"""Cross-origin requests (CORS): the settings say which origins, and an API key may accept fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.middleware.cors import CORSMiddleware

from shared.auth import ORIGIN_REFUSED

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


class KeyedCors(CORSMiddleware):
    """CORS by the settings, except that no answer to a refused origin is readable by its page.

    A preflight carries no key (Fetch standard, CORS-preflight fetch), so the settings alone answer it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or add the headers of CORS to the answer of the application."""

        async def send_checked(message: Message) -> None:
            if message["type"] == "http.response.start" and ORIGIN_REFUSED in scope:
                message["headers"] = [
                    (name, value)
                    for name, value in message["headers"]
                    if not name.startswith(b"access-control-")
                ]
            await send(message)

        await super().__call__(scope, receive, send_checked)
