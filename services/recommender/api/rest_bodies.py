"""The bodies of the REST API, for its OpenAPI document: answers are encoded without these classes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class RecommendedItem(BaseModel):
    """An item with the shop's latest data."""

    product_id: str
    product_name: str | None = None
    price: float | None = None
    score: float | None = Field(None, description="comparable within one list only")
    algorithm: str | None = Field(
        description="the recipe that chose the item; null for an item that fills up a list"
    )


class _Recommendations(BaseModel):
    recommendations: list[RecommendedItem]
    count: int = Field(description="number of recommendations")
    source: str = Field(description="redis, postgres or popular; model for live scores")
    generation: int | None = Field(description="the batch that the list comes from; null before the first")
    recommendation_id: str = Field(description="the id of this answer: events with it are attributed to it")


class _ForBackend(BaseModel):
    success: bool = Field(description="always true: errors have another status")
    is_fallback: bool = Field(alias="isFallback", description="whether the items are merely popular")


class UserRecommendations(_Recommendations):
    """Items for a user: available, and not purchased within the look-back."""

    user_id: str


class AffinityItem(RecommendedItem):
    """An item related to those that the user purchased."""

    affinity_score: float | None = Field(description="the same as score")


class AffinityRecommendations(UserRecommendations):
    """Items related to those that a user purchased."""

    status: Literal["success", "no_data"] = Field(description="no_data if there are no items")
    message: str | None = Field(None, description="with no_data only")
    recommendations: list[AffinityItem]  # type: ignore[assignment]


class BackendItem(RecommendedItem):
    """An item with the names of members that storefronts read."""

    id: str = Field(alias="_id", description="the same as product_id")
    name: str | None = Field(description="the same as product_name")
    image: list[str] = Field(description="addresses in the item's attribute images, image or image_url")


class BackendUserRecommendations(_ForBackend, _Recommendations):
    """Items for a user, or for a guest."""

    recommendations: list[BackendItem]  # type: ignore[assignment]
    user_id: str | None = Field(description="null for a guest")


class ItemRecommendations(_Recommendations):
    """Items related to an item."""

    product_id: str


class BackendItemRecommendations(_ForBackend, ItemRecommendations):
    """Items related to an item."""

    recommendations: list[BackendItem]  # type: ignore[assignment]


class PlaceRecommendations(_Recommendations):
    """Items that are popular at a location."""

    city: str | None = None
    province: str | None = None
    country: str | None = None


class StatusBody(BaseModel):
    """The generations and campaigns that are served to the caller's tenant."""

    tenant: str
    is_configured: bool = Field(description="whether lists are served")
    activation: int = Field(description="increases with every change of what is active; 0 before the first")
    generations: dict[str, int] = Field(description="recipe → the batch whose lists are served")
    overlays: dict[str, int] = Field(
        default_factory=dict, description="recipe → the batch whose lists are read first, where there is one"
    )
    items: int = Field(description="items of the catalogue in memory")
    campaigns: dict[str, str] = Field(
        description="what answers for each active campaign: its `model`, or `lists` until it is loaded"
    )
    experiments: dict[str, int] = Field(description="running experiment → its version")
    redis: bool = Field(description="whether Redis is available")


_HEADERS = {
    "X-Recs-Source": {"description": "the same as `source`", "schema": {"type": "string"}},
    "X-Recs-Generation": {"description": "the same as `generation`", "schema": {"type": "string"}},
    "X-Recommendation-Id": {"description": "the same as `recommendation_id`", "schema": {"type": "string"}},
}


def documented(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route whose answers have this body and the headers of a list."""
    return {200: {"model": model, "headers": _HEADERS}}
