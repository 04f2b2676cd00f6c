"""The errors that cross a boundary: a record that can't be handled, a request that can't be answered.

EndcapError
├── Permanent      this input will never work: dead-letter queue, or a 4xx
├── Transient      a dependency is away: retry with back-off, or a 503
└── ApiError       an HTTP answer with a status, a code for programs and a sentence for people
"""

from __future__ import annotations

from shared.masking import masked


class EndcapError(Exception):
    """Every error that Endcap raises on purpose. Its texts hold no password, as that of a URL may be."""

    def __init__(self, *texts: object) -> None:
        """Keep the texts with asterisks for passwords: they go to callers, jobs and logs."""
        super().__init__(*(masked(text) if isinstance(text, str) else text for text in texts))


class Permanent(EndcapError):
    """The input is wrong and will stay wrong; the message says which input and why."""


class Transient(EndcapError):
    """A dependency is away or busy; the same call may work later."""


class ApiError(EndcapError):
    """An HTTP answer that is not a success: `{"error": code, "detail": sentence}`.

    `retry_after` (seconds) becomes the header `Retry-After`.
    """

    def __init__(self, status: int, code: str, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = str(self)
        self.retry_after = retry_after


def unavailable(dependency: str, *, retry_after: int = 1) -> ApiError:
    """The 503 for a dependency that is away: never a 4xx, since clients drop events on those."""
    return ApiError(
        503,
        "Unavailable",
        f"{dependency} is not reachable right now; send the same request again in a moment.",
        retry_after=retry_after,
    )
