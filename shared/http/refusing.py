"""Refuse a request without starting the application, and keep its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.http.connections import REFUSED
from shared.http.saturation import has_small_body
from shared.http.trailers import NOTHING
from shared.http.upgrades import UpgradingProtocol

if TYPE_CHECKING:
    import asyncio

    from shared.http.saturation import Refusals


class RefusingProtocol(UpgradingProtocol):
    """uvicorn's HTTP protocol, which may answer a request with constant bytes once it is read."""

    _raw: asyncio.Transport
    turned_away: bytes | None = None
    """The answer to the request that is being read, if it is refused."""
    _due: bytes = b""
    """Refusals that are sent in the next turn of the loop."""

    def can_turn_away(self) -> bool:
        """Return whether the request, whose headers are complete, can be refused and the connection kept."""
        if self.expect_100_continue or not (self.cycle is None or self.cycle.response_complete):
            return False
        return self.parser.should_keep_alive() and has_small_body(self.headers)

    def turn_away(self, refusals: Refusals, reason: str) -> None:
        """Answer with a refusal as soon as the body is read."""
        REFUSED.labels(reason).inc()
        self.turned_away = refusals.answer(self.headers)
        self.headers = NOTHING

    def on_body(self, body: bytes) -> None:
        """Pass the body on, or drop it."""
        if self.turned_away is None:
            super().on_body(body)

    def answer_refused(self) -> bool:
        """Answer the request, which is complete, if it is refused; else return False.

        The answer is sent in the next turn of the loop: uvloop reads for up to 48 rounds before a turn ends,
        so clients that send the next request at once would keep all others waiting.
        """
        answer, self.turned_away = self.turned_away, None
        if answer is None:
            return False
        if not self._due:
            self.loop.call_soon(self.send_refusals)
        self._due += answer
        return True

    def send_refusals(self) -> None:
        """Send the refusals that are due, unless the connection is closing."""
        due = self.take_refusals()
        if due and not self._raw.is_closing():
            self._raw.write(due)

    def take_refusals(self) -> bytes:
        """Return the refusals that are due, which the caller sends."""
        due, self._due = self._due, b""
        return due
