"""The course of a metric, as the API returns it."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field

from services.router.domain.results import Estimate


class SeriesVariant(BaseModel):
    """A metric of a variant at the end of a day."""

    variant: str
    units: int
    mean: float | None
    relative: Estimate | None = Field(
        description="the change against the first variant with its interval at any look; null for the first"
    )


class SeriesPoint(BaseModel):
    """The results of all days up to one, as they were counted last on that day."""

    day: date
    counted_at: datetime
    variants: list[SeriesVariant]


class Series(BaseModel):
    """The course of a metric."""

    name: str
    phase: int
    metric: str
    days: list[SeriesPoint]
