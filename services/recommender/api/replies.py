"""The body of a REST answer, and what its headers say about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BODY = b'{%b,"recommendations":[%b],"count":%d,"source":"%b","generation":%b,"recommendation_id":"%b"}'


@dataclass(slots=True)
class Reply:
    """The body of an answer, and what its headers say about it."""

    body: bytes
    source: bytes
    generation: int | None
    recommendation_id: bytes = b""
    assigned: Sequence[tuple[bytes, bytes]] = ()
    """The headers of the variant of an experiment, if one answered."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the raw headers, including the length."""
        return [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
            (b"x-recs-source", self.source),
            (b"x-recs-generation", b"" if self.generation is None else b"%d" % self.generation),
            (b"x-recommendation-id", self.recommendation_id),
            *self.assigned,
        ]

    def message(self, head: bytes) -> bytes:
        """Return the whole HTTP message, with the same headers; `head` is its beginning."""
        body = self.body
        message = b"%bcontent-type: application/json\r\ncontent-length: %d\r\nx-recs-source: %b\r\n" % (
            head,
            len(body),
            self.source,
        )
        generation = b"" if self.generation is None else b"%d" % self.generation
        return b"%bx-recs-generation: %b\r\nx-recommendation-id: %b\r\n%b\r\n%b" % (
            message,
            generation,
            self.recommendation_id,
            _lines(self.assigned) if self.assigned else b"",
            body,
        )


@lru_cache(maxsize=4_096)
def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return headers of an HTTP message; many answers have those of one variant."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def encode_body(
    member: bytes, items: list[bytes], source: bytes, generation: int | None, recommendation_id: bytes
) -> bytes:
    """Return the JSON body of an answer; `member` names the user, the item or the location."""
    return _BODY % (
        member,
        b",".join(items),
        len(items),
        source,
        b"null" if generation is None else b"%d" % generation,
        recommendation_id,
    )
