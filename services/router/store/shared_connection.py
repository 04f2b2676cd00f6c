"""A connection to the recommender for simple requests, whose usual answers are passed on as they came.

Parsing a message only to write it again takes as long as the rest of the router's work (docs/speed.md).
"""

from __future__ import annotations

import re
from typing import Final

from services.router.store.upstream_connection import FORWARDED_HEADERS, UpstreamConnection

_HEADER: Final = b"(?:date|%b): [ -~]*\r\n" % b"|".join(sorted(FORWARDED_HEADERS))
_USUAL_HEAD: Final = re.compile(
    rb"HTTP/1\.1 200 OK\r\n(?:%b)*content-length: ([0-9]{1,7})\r\n(?:%b)*\r\n" % (_HEADER, _HEADER)
)
"""The head of a 200 that has only headers which are passed on, as Endcap's own servers write it."""


class SharedConnection(UpstreamConnection):
    """Returns a usual answer that came in one piece as its bytes, and any other one as a `Reply`."""

    def data_received(self, data: bytes) -> None:
        """Take the usual answers at the beginning; parse the rest."""
        begin = 0
        while self.is_between_answers and (head := _USUAL_HEAD.match(data, begin)) is not None:
            end = head.end() + int(head[1])
            if end > len(data):
                break
            self.answer(data[begin:end])
            begin = end
        if begin < len(data):
            super().data_received(data[begin:] if begin else data)
