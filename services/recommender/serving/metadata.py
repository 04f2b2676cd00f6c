"""metadataColumns: columns of the recommended items, as texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.recommender.domain.filterable_items import FilterableItems
from shared.aws import invalid_input
from shared.models import Attributes

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.deployed_campaign import DeployedCampaign
    from services.recommender.domain.properties import PropertyValue
    from services.recommender.serving.targets import Target
    from shared.models.attributes import NumberKind

MAX_COLUMNS = 10
"""Limit of Amazon Personalize."""
_SETTING = "enableMetadataWithRecommendations"


@dataclass(frozen=True, slots=True)
class ItemMetadata:
    """Some columns of a target's items, as the training data spells them."""

    items: FilterableItems
    columns: Sequence[str]

    @classmethod
    def of(cls, target: Target, names: Sequence[str], catalogue: Catalogue) -> ItemMetadata:
        """Return the columns of a target; raise InvalidInputException if it has no metadata, or lacks one."""
        if target.deployed is None or not _is_enabled(target.deployed):
            raise invalid_input(f"Metadata needs a campaign whose campaignConfig has {_SETTING}.")
        if len(names) > MAX_COLUMNS:
            raise invalid_input(
                f"metadataColumns may name {MAX_COLUMNS} columns at the most, not {len(names)}."
            )
        items = target.deployed.filterable_items
        if items is None:
            return cls(FilterableItems([], {}, Attributes(), catalogue), names)
        columns = []
        for name in names:
            column = items.column(name)
            if column is None:
                raise invalid_input(f"The items have no column {name!r}: see the schema of the dataset.")
            columns.append(column)
        return cls(items, columns)

    def about(self, item_id: str) -> dict[str, str]:
        """Return the columns of an item that have a value, by lower-case name."""
        cells = self.items.cells(item_id, self.columns)
        return {name.lower(): _text(value, self.items.kind(name)) for name, value in cells.items()}


def _is_enabled(deployed: DeployedCampaign) -> bool:
    return bool(deployed.campaign.config.get(_SETTING, deployed.traits.metadata_by_default))


def _text(value: PropertyValue, kind: NumberKind | None) -> str:
    """Return a cell as the service writes it: a float with a fraction, an integer without.

    Models of earlier releases have no number types: there, integral values are written without a fraction.
    """
    if not isinstance(value, float):
        return value
    if kind == "float":
        # The shortest text that identifies the float32: 130.1, not 130.10000228881836.
        return str(float(str(np.float32(value))))
    return str(int(value)) if value.is_integer() and kind != "double" else str(value)
