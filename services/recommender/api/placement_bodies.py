"""The bodies of the routes for placements; answers are encoded without these classes."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.recommender.api.parameters import MAX_LIMIT
from services.recommender.api.placement_parameters import MAX_CART_ITEMS, MAX_COLUMNS
from services.recommender.api.rest_bodies import RecommendedItem
from shared.events.envelope import Name, Text
from shared.events.placements import Placement

MAX_USERS = 1_000
MAX_PLACEMENTS = 10
"""Users of one call, and placements of one page. Arbitrary."""


class PlacementItem(RecommendedItem):
    """An item with the strategy that proposed it."""

    strategy: str = Field(description="popular for an item that fills the answer up")
    columns: dict[str, str | float] | None = Field(
        None, description="the requested columns that the item has; only with `columns`"
    )


class SignalBody(BaseModel):
    """A reason for an item."""

    name: str
    weight: float | None = None
    item_id: str | None = None
    detail: str | None = None


class ExplainedItem(BaseModel):
    """The reasons for an item of the answer."""

    product_id: str
    position: int = Field(description="from 1")
    strategy: str
    score: float | None = None
    sentence: str = Field(description="for the visitor, such as: Because you viewed Blue Kettle")
    signals: list[SignalBody]


class DroppedItem(BaseModel):
    """An item that was proposed and left out."""

    product_id: str
    strategy: str
    step: str
    detail: str | None = None
    sentence: str = Field(description="why it was left out")


class Explanation(BaseModel):
    """The reasons for the items of an answer, and the items that were left out."""

    items: list[ExplainedItem]
    dropped: list[DroppedItem]
    history_events: int = Field(description="recent events of the visitor that were known")
    newest_event_seconds: float | None = Field(None, description="time of the newest one, epoch seconds")
    model_sha256: str | None = Field(None, description="the model that scored the items, if one did")


class AnsweringVariant(BaseModel):
    """The variant of an experiment by which the placement answered."""

    name: str
    version: int
    variant: str


class PlacementRecommendations(BaseModel):
    """The items of a placement."""

    placement: str
    revision: int | None = Field(description="of the placement; null for a default one")
    recommendations: list[PlacementItem]
    count: int = Field(description="number of recommendations")
    source: str = Field(
        description="of the first item: redis, postgres, popular, model, history, catalogue, fixed, overrides"
    )
    generation: int | None = Field(description="the batch that the first item's list comes from")
    recommendation_id: str = Field(description="the id of this answer: events with it are attributed to it")
    experiment: AnsweringVariant | None = Field(
        None, description="only if the visitor takes part in an experiment on the placement"
    )
    explanation: Explanation | None = Field(None, description="only with explain=1")


class UserPlacement(PlacementRecommendations):
    """The items of a placement for one of several users."""

    user_id: str


class Page(BaseModel):
    """The items of several placements, or of one for several users, in the order of the request."""

    placements: list[PlacementRecommendations] | None = None
    users: list[UserPlacement] | None = None


class ListedPlacement(BaseModel):
    """A placement that can be requested."""

    name: str
    revision: int | None
    default: bool = Field(description="whether every tenant has it, and this one has not replaced it")
    placement: Placement


class PlacementList(BaseModel):
    """The placements of a tenant."""

    placements: list[ListedPlacement]


class PagePlacement(BaseModel):
    """A placement of a page, with what differs from the rest of the page."""

    model_config = ConfigDict(extra="forbid")

    placement: Name
    item_id: Name | None = None
    cart: list[Name] | None = Field(None, max_length=MAX_CART_ITEMS)
    category: Text | None = None
    limit: int | None = Field(None, ge=1, le=MAX_LIMIT)


class PageRequest(BaseModel):
    """A page: several placements for one visitor, or one placement for several users."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"placements": ["product", "cart"], "user_id": "u1", "item_id": "i1"}},
    )

    placements: list[Name | PagePlacement] = Field(
        [],
        max_length=MAX_PLACEMENTS,
        description="no item is on the page twice; an object has its own limit, item, cart or category",
    )
    placement: Name | None = Field(None, description="with `users`: the placement for each of them")
    users: list[Name] = Field([], max_length=MAX_USERS)
    user_id: Name | None = None
    session_id: Name | None = None
    item_id: Name | None = None
    cart: list[Name] = Field([], max_length=MAX_CART_ITEMS)
    category: Text | None = None
    city: Text | None = None
    province: Text | None = None
    country: Text | None = None
    limit: int | None = Field(None, ge=1, le=MAX_LIMIT, description="of each placement")
    explain: bool = False
    columns: list[Name] = Field(
        [], max_length=MAX_COLUMNS, description="columns of the items that the answers contain"
    )

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, value: Any) -> Any:
        """Accept the camelCase names of the query parameters."""
        if not isinstance(value, dict):
            return value
        return {_SNAKE_CASE.get(name, name): content for name, content in value.items()}

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Raise ValueError unless it names placements, or one placement with users."""
        if bool(self.placements) == bool(self.users) or bool(self.users) != (self.placement is not None):
            message = (
                "give placements (several, for one visitor), or placement and users (one, for each user)"
            )
            raise ValueError(message)
        if self.users and (self.user_id or self.session_id):
            message = "users name the visitors: leave out user_id and session_id"
            raise ValueError(message)
        return self


_SNAKE_CASE = {
    "userId": "user_id",
    "sessionId": "session_id",
    "itemId": "item_id",
    "productId": "item_id",
    "product_id": "item_id",
    "numResults": "limit",
    "num_results": "limit",
}
