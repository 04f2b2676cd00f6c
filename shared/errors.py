"""The errors that cross a boundary: a record that can't be handled, a request that can't be answered.

EndcapError
├── Permanent      the input is invalid: dead-letter topic, or a 4xx
├── Transient      a dependency is not reachable: retry with back-off, or a 503
└── ApiError       an HTTP response with a status, a code for programs and a sentence for people
"""

from __future__ import annotations

from shared.masking import masked


class EndcapError(Exception):
    """The base of all errors that Endcap raises itself. Passwords in its texts are masked."""

    def __init__(self, *texts: object) -> None:
        """Keep the texts with passwords masked, since they reach callers, jobs and logs."""
        super().__init__(*(masked(text) if isinstance(text, str) else text for text in texts))


class Permanent(EndcapError):
    """The input is invalid and a retry won't help; the message names the input and the reason."""


class Transient(EndcapError):
    """A dependency is not reachable or busy; the same call may work later."""


class ApiError(EndcapError):
    """An HTTP response that is not a success: `{"error": code, "detail": sentence}`.

    `retry_after` is in seconds and becomes the header `Retry-After`.
    """

    def __init__(self, status: int, code: str, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = str(self)
        self.retry_after = retry_after


def unavailable(dependency: str, *, retry_after: int = 1) -> ApiError:
    """Return the 503 for a dependency that is not reachable; clients would drop events on a 4xx.

    `retry_after` is in seconds.
    """
    return ApiError(
        503,
        "Unavailable",
        f"{dependency} is not reachable right now; send the same request again in a moment.",
        retry_after=retry_after,
    )
