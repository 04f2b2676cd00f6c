"""Campaigns, filters and event trackers of the engine. Each event is the whole state of one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from shared.events.envelope import Document, Event, Name, Text
from shared.events.values import CampaignName, ObjectUri, RecipeName, ResourceName, Sha256


class RecipeTraits(BaseModel):
    """The inputs of a recipe's model, and the list that replaces it; the engine declares them."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    needs_user: bool = False
    """A query must name a user as well as an item."""
    ranks_only: bool = False
    """The model ranks the items of a request, and recommends none by itself."""
    explores: bool = False
    """New items are recommended more often than their scores say."""
    list_recipe: RecipeName = "popularity"
    """The recipe whose precomputed lists replace the model while it is not loaded."""
    metadata_by_default: bool | None = None
    """Answers may have columns of items unless the campaign's configuration disables it; None: not stated."""


class CampaignChanged(Event):
    """A campaign and the model that scores it: a folder of arrays and the sha256 of its manifest."""

    name: CampaignName
    arn: Text
    status: Text
    recipe: RecipeName
    solution_version_arn: Text
    model_uri: ObjectUri
    model_sha256: Sha256
    config: Document = {}
    traits: RecipeTraits | None = None

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:name`."""
        return f"{self.tenant}:{self.name}"


class FilterChanged(Event):
    """A filter; its expression is in the language of docs/filters.md."""

    name: ResourceName
    arn: Text
    status: Text
    expression: Text

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:name`."""
        return f"{self.tenant}:{self.name}"


class TrackerChanged(Event):
    """An event tracker: with its tracking id a storefront sends events to the tenant."""

    name: ResourceName
    arn: Text
    tracking_id: Name
    status: Text

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:name`."""
        return f"{self.tenant}:{self.name}"
