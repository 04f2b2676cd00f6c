"""Options of runs: their kind, the customers that a VIP run renews, and the budget."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from shared.events.batches import RunKind

DEFAULT_VIP_SHARE: Final = 0.1
"""Of the customers who bought in the window; arbitrary."""

DEFAULT_WINDOW_DAYS: Final = 365


class RunOptions(BaseModel):
    """Members of a request for a run, or of a schedule. Without a value those of the settings count."""

    model_config = ConfigDict(frozen=True)

    kind: RunKind = Field(
        "full",
        description="`full` trains and computes all lists; `incremental` makes lists for new customers and "
        "items with the models that are served; `vip` also renews those of the most valuable customers",
    )
    vip_share: float | None = Field(
        None, gt=0, le=1, description=f"of the customers, by spending; {DEFAULT_VIP_SHARE} if null"
    )
    vip_window_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description=f"days up to the newest purchase in which spending counts; {DEFAULT_WINDOW_DAYS} if null",
    )
    max_minutes: float | None = Field(
        None, gt=0, le=100_000, description="a run that takes longer is stopped, with the status timed_out"
    )

    def stored(self) -> dict[str, float]:
        """Return the members with a value, beside the kind, as they are stored."""
        return self.model_dump(exclude={"kind"}, exclude_none=True)
