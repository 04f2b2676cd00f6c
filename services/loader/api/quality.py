"""HTTP: the quality of lists: coverage by day, and figures of each generation."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.loader.store import Quality
from shared.auth import Authenticator, Principal


class Coverage(BaseModel):
    """The users or items that had a list that was served, by the last count of a day."""

    day: date
    kind: Literal["users", "items"]
    known: int = Field(description="users with an interaction, or items on sale")
    listed: int = Field(description="those of them that have a list")
    share: float | None = Field(description="listed of known; null if none are known")
    measured_at: datetime


class ListQuality(BaseModel):
    """The figures of one recipe's lists in a generation; docs/monitoring.md defines them."""

    generation: int
    recipe: str
    active: bool = Field(description="whether these lists are served")
    run_started_at: datetime
    previous: int | None = Field(description="the generation that lists are compared with")
    lists: int
    empty: int = Field(description="lists without items")
    listed_items: int = Field(description="different items in lists")
    catalogue_items: int = Field(description="items on sale")
    catalogue_share: float | None = Field(description="listed items of those on sale")
    gini: float | None = Field(description="concentration of places on items: 0 is even, near 1 is few items")
    popularity_lift: float | None = Field(
        description="by which share listed items are more popular than those that people interact with"
    )
    compared: int = Field(description="lists whose id has one in the previous generation")
    changed_share: float | None = Field(description="compared lists whose items or order changed")
    rank_overlap: float | None = Field(description="mean average overlap of the first 10 places; 1 is equal")
    measured_at: datetime


class QualityReport(BaseModel):
    """Coverage by day, oldest first, and figures of generations, newest first."""

    coverage: list[Coverage]
    generations: list[ListQuality]


def router(authenticator: Authenticator, quality: Quality) -> APIRouter:
    """Return the route of the quality of lists."""
    routes = APIRouter(prefix="/v1/quality", tags=["quality"])
    Reader = Annotated[Principal, Depends(authenticator.require("read"))]  # noqa: N806

    @routes.get("", operation_id="get_quality")
    async def get_quality(
        principal: Reader,
        limit: Annotated[int, Query(ge=1, le=400, description="generations")] = 30,
        days: Annotated[int, Query(ge=1, le=400, description="days of coverage")] = 90,
    ) -> QualityReport:
        """Return the coverage of lists by day, and the figures of the newest generations by recipe."""
        tenant = principal.own_tenant
        return QualityReport.model_validate(
            {
                "coverage": await quality.coverage(tenant, days),
                "generations": await quality.generations(tenant, limit),
            }
        )

    return routes
