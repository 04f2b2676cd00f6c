"""Servings: what each answer contained, for attribution and for the question why it was shown."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events.envelope import Document, Event, Name, Text
from shared.events.values import Finite, Instant, Whole


class Shadow(BaseModel):
    """The mark of an answer that nobody saw. `of` is the id of the answer that the visitor got instead.

    `overlap` is the share of the items of the shown answer that this one has too; `size` the number of
    items that it could have had.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    of: Name
    overlap: Finite
    milliseconds: Finite
    shown_milliseconds: Finite
    size: Whole


class Serving(BaseModel):
    """One answer: to whom, where, by what, and its items in order.

    `strategies` has the strategy (or recipe, or campaign) of each item, in the order of `item_ids`; a single
    entry stands for all items. `request` are the parameters that are not fields here: item, cart, category.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    recommendation_id: Name
    served_at: Instant
    surface: Literal["placement", "rest", "runtime", "graphql"]
    user_id: Name | None = None
    session_id: Name | None = None
    placement: Name | None = None
    revision: Whole | None = None
    target: Text | None = None
    """The campaign or recipe that was requested; None for a placement."""
    item_ids: tuple[Name, ...] = ()
    strategies: tuple[Text, ...] = ()
    source: Text = ""
    generation: Whole | None = None
    model_sha256: Text | None = None
    experiment: Name | None = None
    experiment_version: Whole | None = None
    variant: Name | None = None
    propensity: Finite | None = None
    """The probability with which the unit got the variant."""
    scores: tuple[Finite | None, ...] = ()
    """The score of each item, in the order of `item_ids`, of an answer with a propensity; None for an item
    that has none, such as one that a rule put there."""
    picked_by: tuple[Name, ...] = ()
    """The variant that picked each item, in the order of `item_ids`, of an answer of several variants."""
    shadow: Shadow | None = None
    """Only of an answer that nobody saw: it is no impression and no exposure."""
    history_events: int | None = Field(None, ge=0, description="recent events that were scored")
    newest_event_at: Instant | None = None
    rules: tuple[Text, ...] = ()
    """The steps that removed or moved an item."""
    request: Document = {}

    @property
    def subject(self) -> str:
        """Return the user, else the session; empty for an answer to nobody."""
        return self.user_id or self.session_id or ""


class RecommendationServed(Event):
    """Several answers of one process, in the partition that their ids name.

    `sequence` counts the records of a process from 1, so that a gap shows a lost record.
    """

    process: Name
    sequence: Whole
    servings: tuple[Serving, ...] = Field(min_length=1)

    @property
    def key(self) -> str:
        """Return `tenant:subject` of the first answer, whose partition has all of them."""
        return f"{self.tenant}:{self.servings[0].subject}"
