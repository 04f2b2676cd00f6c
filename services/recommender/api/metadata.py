"""metadataColumns: what is known of the items of an answer, as texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.recommender.domain.filterable_items import FilterableItems
from shared.aws import invalid_input
from shared.models import Attributes

if TYPE_CHECKING:
    from services.recommender.api.targets import Target
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.facts import Value
    from shared.models.attributes import NumberKind

MOST_COLUMNS = 10
_ENABLED = "enableMetadataWithRecommendations"
_WITHOUT_ASKING = frozenset({"aws-user-personalization-v2", "aws-personalized-ranking-v2"})
"""Recipes whose campaigns have metadata unless their configuration says no, as the guide has it."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Some columns of the items that a target knows, in the training data's own spelling."""

    filterable_items: FilterableItems
    columns: Sequence[str]

    @classmethod
    def of(cls, target: Target, names: Sequence[str], catalogue: Catalogue) -> Metadata:
        """InvalidInputException when the campaign has no metadata, or not these columns."""
        campaign = target.deployed.campaign if target.deployed else None
        if campaign is None or not campaign.config.get(_ENABLED, campaign.recipe in _WITHOUT_ASKING):
            raise invalid_input(f"Metadata needs a campaign whose campaignConfig has {_ENABLED}.")
        if len(names) > MOST_COLUMNS:
            raise invalid_input(
                f"metadataColumns may name {MOST_COLUMNS} columns at the most, not {len(names)}."
            )
        filterable_items = target.deployed.filterable_items if target.deployed else None
        if filterable_items is None:
            return cls(FilterableItems([], {}, Attributes(), catalogue), names)
        columns = []
        for name in names:
            column = filterable_items.column(name)
            if column is None:
                raise invalid_input(f"The items have no column {name!r}: see the schema of the dataset.")
            columns.append(column)
        return cls(filterable_items, columns)

    def about(self, item_id: str) -> dict[str, str]:
        """Return the columns of an item that have a value as texts, by their names in lower case."""
        cells = self.filterable_items.cells(item_id, self.columns)
        return {name.lower(): _text(value, self.filterable_items.kind(name)) for name, value in cells.items()}


def _text(value: Value, kind: NumberKind | None) -> str:
    """Return a cell as the service writes it: a float with its fraction, a whole number without.

    Of models of earlier releases nobody knows the kinds: whole values have no fraction there.
    """
    if not isinstance(value, float):
        return value
    if kind == "float":
        # As few digits as tell it from its neighbours of 32 bits: 130.1, not 130.10000228881836.
        return str(float(str(np.float32(value))))
    return str(int(value)) if value.is_integer() and kind != "double" else str(value)
