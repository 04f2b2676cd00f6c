"""Requests that repeat the headers of an earlier one on their connection: only their first line is parsed.

A client that keeps its connection sends the same headers with each request, as one service does to another.
Comparing the bytes takes a third of the time of parsing them (docs/speed.md). The parser saw the same bytes
once, so it would accept them again, with the same result.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_LINE: Final = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")


class RepeatedHeaders:
    """The headers of the last direct request that the parser read on a connection."""

    __slots__ = ("_block", "by_name", "headers")

    def __init__(self) -> None:
        self._block = b""
        """The bytes behind the first line, from its end on; empty before the first request."""
        self.headers: list[tuple[bytes, bytes]] = []
        self.by_name: Mapping[bytes, bytes] = {}

    def learn(self, data: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Remember the headers of `data`, if that is one request with a usual first line and nothing else."""
        end = data.find(b"\r\n")
        if _FIRST_LINE.fullmatch(data, 0, end) is not None and data.find(b"\r\n\r\n") == len(data) - 4:
            self._block, self.headers, self.by_name = data[end:], headers, dict(headers)

    def url(self, data: bytes, begin: int) -> tuple[bytes, int] | None:
        """Return the URL of a request at `begin` that repeats the headers, and where the request ends."""
        end = data.find(b"\r\n", begin)
        if end < 0 or not self._block or not data.startswith(self._block, end):
            return None
        line = _FIRST_LINE.fullmatch(data, begin, end)
        return None if line is None else (line[1], end + len(self._block))
