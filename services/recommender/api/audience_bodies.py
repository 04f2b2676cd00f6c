"""The bodies of answers for the customers of a place or a segment."""

from __future__ import annotations

from pydantic import BaseModel, Field

from services.recommender.api.rest_bodies import PlaceRecommendations


class AggregatedItemBody(BaseModel):
    """An item that several customers get."""

    product_id: str
    product_name: str | None
    category: str | None
    price: float | None
    avg_score: float = Field(description="mean of the scores in the customers' lists")
    recommended_to_users: int = Field(description="customers who get it")


class CustomerItem(BaseModel):
    """An item for a customer."""

    product_id: str
    product_name: str | None
    price: float | None
    score: float | None
    algorithm: str | None


class CustomerBody(BaseModel):
    """A customer with the items for them."""

    customer_id: str
    customer_name: str | None
    city: str | None
    province: str | None
    recommendations: list[CustomerItem]


class AudienceBody(BaseModel):
    """The items that the customers of a place get, and each customer."""

    aggregated_recommendations: list[AggregatedItemBody]
    users: list[CustomerBody]


class PlaceAudience(AudienceBody, PlaceRecommendations):
    """Items that are popular at a location, and what is recommended to its customers."""


class SegmentBody(BaseModel):
    """The items that the customers of a segment get."""

    segment: str
    aggregated_recommendations: list[AggregatedItemBody]
    count: int = Field(description="number of aggregated items")
    users_analyzed: int = Field(description="customers whose items are aggregated")
    recommendation_id: str = Field(description="the id of this answer")
