"""A response header with the query parameters that the route does not read.

A misspelt parameter is ignored like any unknown one; only this header tells the sender.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_plus

from fastapi import params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNKNOWN_PARAMETERS: Final = "x-endcap-unknown-parameters"

_MAX_NAMES: Final = 20
"""Names in the header, and characters of each; arbitrary, and small beside the limits of clients."""
_MAX_NAME: Final = 64

_ANY: Final = "endcap.any_parameters"


def accept_any_parameters(scope: Scope) -> None:
    """Report no parameters of this request: something other than its route reads them."""
    scope[_ANY] = True


class UnknownParameters:
    """ASGI middleware that adds the header to the answers of a FastAPI application.

    A request without a query string costs nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._known: dict[int, frozenset[str]] = {}  # by the id() of a route, which lives as long as this

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not scope["query_string"]:
            await self._app(scope, receive, send)
            return

        async def send_with_names(message: Message) -> None:
            if message["type"] == "http.response.start" and (names := self._unknown(scope)):
                value = ", ".join(quote(name[:_MAX_NAME], safe="[]") for name in names)
                message["headers"] = [
                    *message.get("headers", ()),
                    (UNKNOWN_PARAMETERS.encode(), value.encode()),
                ]
            await send(message)

        await self._app(scope, receive, send_with_names)

    def _unknown(self, scope: Scope) -> list[str]:
        route = scope.get("route")
        if not isinstance(route, APIRoute) or _ANY in scope:
            return []
        known = self._known.get(id(route))
        if known is None:
            known = self._known[id(route)] = frozenset(
                field.alias
                for field in get_flat_params(route.dependant)
                if not isinstance(field.field_info, params.Path | params.Header | params.Cookie)
            )
        names = dict.fromkeys(names_of(scope["query_string"]))
        return [name for name in names if name not in known][:_MAX_NAMES]


def names_of(query: bytes) -> list[str]:
    """Return the names of a query string's parameters, in its order."""
    parts = (part.partition("=")[0] for part in query.decode("latin-1").split("&"))
    return [unquote_plus(name) for name in parts if name]
