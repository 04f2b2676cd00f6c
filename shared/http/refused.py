"""Requests that end before an application sees them, and what their clients get."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import orjson


class Refused(Exception):
    """A request that is not parsed any further: the reason as a label of a metric, and what is answered."""

    def __init__(self, reason: str, status: int, code: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self._status = status
        self._body = error_body(code, detail)

    def answer(self) -> bytes:
        """Return the answer as it goes over the wire."""
        head = (
            f"HTTP/1.1 {self._status} {HTTPStatus(self._status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(self._body)}\r\n"
            "connection: close\r\n\r\n"
        )
        return head.encode() + self._body


def error_body(code: str, detail: str) -> bytes:
    """Return the documented body of an error as JSON."""
    return orjson.dumps({"error": code, "detail": detail})


INVALID: Final = Refused("invalid", 400, "InvalidHttp", "What was sent is no valid HTTP/1.1 request.")
