"""The generation of recommendations that is served."""

from __future__ import annotations

from shared.events.envelope import Event
from shared.events.values import RecipeName, Whole


class CacheRefreshed(Event):
    """The active generation of each recipe of a tenant, since `occurred_at`.

    `activation` only grows, also when an older generation is activated again: of two events the one with
    the greater number is current.
    """

    activation: Whole
    generations: dict[RecipeName, Whole]
