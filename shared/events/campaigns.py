"""What the engine deploys: campaigns, filters, event trackers. Each event is the whole state."""

from __future__ import annotations

from typing import Any

from shared.events.envelope import Event, Name, Text


class CampaignChanged(Event):
    """A campaign and the model that scores it: a folder of arrays and the sha256 of its manifest."""

    name: Name
    arn: Text
    status: Text
    recipe: Name
    solution_version_arn: Text
    model_uri: Text
    model_sha256: Name
    config: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """`tenant:name`."""
        return f"{self.tenant}:{self.name}"


class FilterChanged(Event):
    """A filter: what it lets through, in the language of docs/filters.md."""

    name: Name
    arn: Text
    status: Text
    expression: Text

    @property
    def key(self) -> str:
        """`tenant:name`."""
        return f"{self.tenant}:{self.name}"


class TrackerChanged(Event):
    """An event tracker: its tracking id lets a storefront send events to the tenant."""

    name: Name
    arn: Text
    tracking_id: Name
    status: Text

    @property
    def key(self) -> str:
        """`tenant:name`."""
        return f"{self.tenant}:{self.name}"
