"""The running subscriptions of a process, by the user that they follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from services.recommender.api.graphql.fields import recommendation
from services.recommender.metrics import SUBSCRIPTIONS

if TYPE_CHECKING:
    from services.recommender.api.graphql.documents import RootField
    from services.recommender.domain.override import Override

Deliver = Callable[[bytes], None]
"""Takes the JSON of `data`; never waits."""


class Subscription:
    """One subscription: the user that it follows, and how it encodes and delivers a recommendation."""

    def __init__(self, tenant: str, user_id: str, field: RootField, deliver: Deliver) -> None:
        self.user = (tenant, user_id)
        self._field = field
        self._deliver = deliver

    def send(self, override: Override) -> None:
        """Deliver a recommendation that was put for the user."""
        self._deliver(b"{%b%b}" % (self._field.prefix, self._field.encode(recommendation(override))))


class Subscriptions:
    """All subscriptions of a process."""

    def __init__(self) -> None:
        self._by_user: dict[tuple[str, str], set[Subscription]] = {}

    def add(self, subscription: Subscription) -> None:
        """Start to deliver."""
        self._by_user.setdefault(subscription.user, set()).add(subscription)
        SUBSCRIPTIONS.inc()

    def remove(self, subscription: Subscription) -> None:
        """Stop delivering."""
        of_user = self._by_user.get(subscription.user, set())
        if subscription in of_user:
            of_user.remove(subscription)
            SUBSCRIPTIONS.dec()
        if not of_user:
            self._by_user.pop(subscription.user, None)

    def publish(self, override: Override) -> None:
        """Send a recommendation to those who follow its user."""
        for subscription in list(self._by_user.get((override.tenant, override.user_id), ())):
            subscription.send(override)
