"""Saturation: requests wait in the event loop for longer than they should, so new ones are refused.

A process has one event loop, whose iterations become longer as more requests are in progress: each waits for
all the others. While requests are in progress a timer measures by how much an iteration is late. After three
late ones in a row new requests are refused, until an iteration is in time again. Time in which the process
did not run is not counted here, but in `admission`: it limits the requests that wait at the same time.
See docs/decisions/0015-http-limits.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Final

import orjson

from shared.http.admission import Admission
from shared.http.refused import error_body
from shared.observability import gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import Send

    Headers = Sequence[tuple[bytes, bytes]]

PROBE_SECONDS: Final = 0.005
"""Interval between measurements; arbitrary, a small part of the wait that is allowed."""

LATE_IN_A_ROW: Final = 3
"""Late measurements in a row before the first refusal; arbitrary."""

RECENT_SECONDS: Final = 1.0
"""After a refusal this recent one late measurement is enough, so that waits do not grow again. Arbitrary."""

CALM_PROBES: Final = 20
"""Measurements in time after which the timer stops until there are many requests again; arbitrary."""

CROWD: Final = 8
"""Requests in progress from which on waits are measured; fewer can't make one another late. Arbitrary."""

_SMALL_BODY_DIGITS: Final = 5
_DETAIL: Final = (
    "This process has more requests than it can answer in time; send the same request again shortly."
)

WAIT = gauge("endcap_http_loop_wait_seconds", "How late the event loop was when it was last measured.")


class Saturation:
    """Measures how long requests wait, and decides whether new ones are refused."""

    def __init__(
        self,
        most_wait_seconds: float,
        most_queue_seconds: float = float("inf"),
        answered: Callable[[], int] = int,
    ) -> None:
        """Refuse while waits for one iteration are longer than `most_wait_seconds`.

        Requests in progress may wait for `most_queue_seconds` altogether; `answered` returns the number of
        answers so far.
        """
        self.refuses = False
        self.admission = Admission(most_queue_seconds, answered)
        self._most = most_wait_seconds
        self._is_measuring = False
        self._due = 0.0
        self._used = 0.0
        self._late = self._in_time = 0
        self._refused_at = float("-inf")

    def measure(self) -> None:
        """Begin to measure, because many requests are in progress."""
        if not self._is_measuring:
            self._is_measuring = True
            self._late = self._in_time = 0
            now = monotonic()
            self.admission.begin(now)
            self._measure_later(now)

    def refuses_above(self, working: int) -> bool:
        """Return whether a new request is refused while `working` are in progress."""
        return self.refuses or (self.admission.most is not None and working >= self.admission.most)

    def observe(self, wait: float, now: float) -> None:
        """Count one measurement, in seconds."""
        WAIT.set(wait)
        if wait <= self._most:
            self.refuses, self._late = False, 0
            self._in_time += 1
            return
        self._late, self._in_time = self._late + 1, 0
        if self._late >= LATE_IN_A_ROW or now - self._refused_at < RECENT_SECONDS:
            self.refuses, self._refused_at = True, now

    def _measure_later(self, now: float) -> None:
        self._due, self._used = now + PROBE_SECONDS, thread_time()
        asyncio.get_running_loop().call_later(PROBE_SECONDS, self._measured)

    def _measured(self) -> None:
        now = monotonic()
        late, used = now - self._due, thread_time() - self._used
        self.observe(max(min(late, used), 0.0), now)
        self.admission.observe(max(late, 0.0), now)
        if self._in_time >= CALM_PROBES and self.admission.most is None:
            self._is_measuring = False
            WAIT.set(0.0)
        else:
            self._measure_later(now)


class Refusals:
    """The answers to requests that are refused, as bytes: they cost a fraction of an application's answer."""

    def __init__(self, status: int) -> None:
        """Answer with `status`, 429 or 503; AWS SDKs send again after a ThrottlingException."""
        code = "TooManyRequests" if status == HTTPStatus.TOO_MANY_REQUESTS else "Unavailable"
        throttled = orjson.dumps({"__type": "ThrottlingException", "message": _DETAIL})
        self._for_others = _Refusal(status, error_body(code, _DETAIL))
        self._for_aws = _Refusal(429, throttled, (b"x-amzn-errortype", b"ThrottlingException"))

    def answer(self, headers: Headers) -> bytes:
        """Return the answer to a request with these headers."""
        return self._to(headers).text

    async def send(self, headers: Headers, send: Send) -> None:
        """Send the answer to a request with these headers, and close the connection."""
        refusal = self._to(headers)
        closing = [*refusal.headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": refusal.status, "headers": closing})
        await send({"type": "http.response.body", "body": refusal.body})

    def _to(self, headers: Headers) -> _Refusal:
        is_signed = any(name == b"authorization" and value.startswith(b"AWS4") for name, value in headers)
        return self._for_aws if is_signed else self._for_others


class _Refusal:
    """One answer, for ASGI and as the text of an HTTP/1.1 response."""

    def __init__(self, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        self.status = status
        self.body = body
        self.headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", b"1"),
            *headers,
        ]
        lines = b"".join(b"%s: %s\r\n" % header for header in self.headers)
        self.text = b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (
            status,
            HTTPStatus(status).phrase.encode(),
            lines,
            body,
        )


def has_small_body(headers: Headers) -> bool:
    """Return whether a request has no body, or one of less than 100 KB, which can be read and dropped."""
    for name, value in headers:
        if name == b"content-length":
            return len(value) <= _SMALL_BODY_DIGITS
        if name == b"transfer-encoding":
            return False
    return True
