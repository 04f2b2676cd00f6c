"""The signed cookie of a visit: ids, quantities and choices, but no personal data."""

from __future__ import annotations

import secrets
from typing import Any

from starlette.requests import Request

from examples.shop.cart import Cart


class Visit:
    """The session of a request. What is changed here is in the next cookie."""

    def __init__(self, request: Request) -> None:
        self._session: dict[str, Any] = request.session
        self.cart = Cart(self._session)

    @property
    def user_id(self) -> str | None:
        """Return the id of the customer who is logged in, or None for a guest."""
        return self._session.get("user")

    def log_in(self, user_id: str) -> None:
        """Remember who is logged in. The cart stays."""
        self._session["user"] = user_id

    def log_out(self) -> None:
        """Forget everything: what follows belongs to another guest."""
        self._session.clear()

    @property
    def shows_guide(self) -> bool:
        """Return whether the steps for a first visit are shown."""
        return not self._session.get("guide_closed")

    def show_guide(self, *, shown: bool) -> None:
        """Show or hide the steps for a first visit."""
        self._session["guide_closed"] = not shown

    @property
    def next_order_id(self) -> str:
        """Return the id of the order that this cart becomes, the same until it is placed."""
        return str(self._session.setdefault("next_order", f"W-{secrets.token_hex(5).upper()}"))

    def order_placed(self, order: dict[str, Any]) -> None:
        """Remember the order for its confirmation, and empty the cart."""
        self._session["order"] = order
        self._session.pop("next_order", None)
        self.cart.clear()

    @property
    def order(self) -> dict[str, Any] | None:
        """Return the order that was placed last."""
        return self._session.get("order")

    def say(self, text: str) -> None:
        """Keep a sentence for the next page."""
        self._session["notice"] = text

    def take_notice(self) -> str:
        """Return the sentence for this page, once."""
        return str(self._session.pop("notice", ""))
