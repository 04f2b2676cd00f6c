"""The generation of recommendations that is served."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.events.envelope import Event
from shared.events.values import Instant, RecipeName, Whole


class Overlay(BaseModel):
    """A generation with newer lists for some ids; they know the events up to `as_of`."""

    model_config = ConfigDict(frozen=True)
    generation: Whole
    as_of: Instant


class CacheRefreshed(Event):
    """The active generation of each recipe of a tenant, since `occurred_at`.

    `activation` only grows, also when an older generation is activated again: of two events the one with
    the greater number is current. `overlays` are read before the generations of the same recipe.
    """

    activation: Whole
    generations: dict[RecipeName, Whole]
    overlays: dict[RecipeName, Overlay] = Field(default_factory=dict)
