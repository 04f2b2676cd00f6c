"""Exposures: which unit of an experiment was served by which variant."""

from __future__ import annotations

from pydantic import Field

from shared.events.envelope import Event, Name, Text
from shared.events.values import LARGEST_INT4


class VariantExposed(Event):
    """A unit (a user, else a session) was served by a variant; assigned and exposed are one step.

    `event_id` derives from experiment version, unit and UTC day, so a unit counts once a day.
    """

    experiment: Name
    experiment_version: int = Field(ge=1, le=LARGEST_INT4)
    variant: Name
    unit: Name
    surface: Text
    recommendation_id: Name | None = None
    item_ids: tuple[Name, ...] = ()

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:unit`."""
        return f"{self.tenant}:{self.unit}"
