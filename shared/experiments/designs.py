"""Designs of experiments: how requests get to the variants."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

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


class Switchback(BaseModel):
    """All units get the same variant for a window of time; a draw of the salt orders the variants of a block.

    A block has as many windows as there are variants, each once. For answers that compete for the same items.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["switchback"] = "switchback"
    window_minutes: int = Field(60, ge=5, le=10_080)
    burn_in_minutes: int = Field(
        0, ge=0, le=1_440, description="the beginning of a window whose events do not count"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.burn_in_minutes >= self.window_minutes:
            message = "burn_in_minutes must be less than window_minutes: else no event counts"
            raise ValueError(message)
        return self

    def window(self, seconds: float) -> int:
        """Return the number of the window at a time, in seconds since 1970."""
        return int(seconds // (self.window_minutes * 60))


class Shadow(BaseModel):
    """Everybody gets the usual answer; for a share of the requests the other variants answer too, unseen.

    The first variant is the usual answer. Nobody is exposed to anything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["shadow"] = "shadow"
    share: float = Field(0.1, gt=0, le=1, description="share of the requests for which the others answer too")


def _or_split(design: Any) -> Any:
    """Return a design; a split for what earlier releases wrote, which is none."""
    return Split() if design is None else design


Design = Annotated[
    Split | Interleaving | Bandit | Switchback | Shadow,
    Field(discriminator="kind"),
    BeforeValidator(_or_split),
]
