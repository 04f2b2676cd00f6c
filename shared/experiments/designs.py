"""Designs of experiments: how requests get to the variants."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

INTERLEAVED: Final = "interleaved"
"""The variant that answers of an interleaving experiment name: no unit has a variant of its own."""


class Split(BaseModel):
    """Each unit gets one variant, by the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["split"] = "split"


class Interleaving(BaseModel):
    """Each answer has items of all variants, picked in turns (team draft); weights have no meaning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["interleaving"] = "interleaving"
    window_days: float = Field(
        7.0, gt=0, le=30, description="time after an answer in which events count for its items"
    )


class Bandit(BaseModel):
    """Each unit gets one variant, by weights that follow the rewards; each period is a version.

    The reward is the first metric in `reward_hours` after the exposure. A unit keeps its variant for a
    period.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bandit"] = "bandit"
    period_minutes: int = Field(60, ge=15, le=10_080, description="time between changes of the weights")
    floor: float = Field(
        0.01, ge=0.001, le=0.5, description="the smallest share of a variant, as a share of all units"
    )
    reward_hours: float = Field(
        24.0, gt=0, le=720, description="time after an exposure in which events count; younger ones wait"
    )


def _or_split(design: Any) -> Any:
    """Return a design; a split for what earlier releases wrote, which is none."""
    return Split() if design is None else design


Design = Annotated[Split | Interleaving | Bandit, Field(discriminator="kind"), BeforeValidator(_or_split)]
