"""Requests that are refused before an application receives them, and their answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import orjson


class Refused(Exception):
    """The request is not parsed any further; `reason` is the label of a metric."""

    def __init__(self, reason: str, status: int, code: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self._status = status
        self._body = error_body(code, detail)

    def answer(self) -> bytes:
        """Return the answer as the bytes of an HTTP/1.1 response."""
        head = (
            f"HTTP/1.1 {self._status} {HTTPStatus(self._status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(self._body)}\r\n"
            "connection: close\r\n\r\n"
        )
        return head.encode() + self._body


def error_body(code: str, detail: str) -> bytes:
    """Return the body of an error, `{"error": code, "detail": detail}`, as JSON."""
    return orjson.dumps({"error": code, "detail": detail})


INVALID: Final = Refused("invalid", 400, "InvalidHttp", "This is not a valid HTTP/1.1 request.")
TOO_MUCH_FRAMING: Final = Refused(
    "framing", 400, "InvalidHttp", "The body has more framing than data: chunk extensions or trailers."
)
NO_UPGRADE: Final = Refused("upgrade", 503, "Unavailable", "The connection can't become a WebSocket now.")


def late_headers(seconds: float) -> Refused:
    """Return the refusal of a request whose headers took longer."""
    detail = f"The request line and headers did not arrive within {seconds:g} seconds."
    return Refused("header_time", 408, "RequestTimeout", detail)


def slow_body(rate: float) -> Refused:
    """Return the refusal of a body that is slower than this number of bytes a second."""
    detail = f"The body arrived too slowly: the least rate is {rate} bytes a second."
    return Refused("body_time", 408, "RequestTimeout", detail)
