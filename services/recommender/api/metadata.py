"""metadataColumns: what is known of the items of an answer, as texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.recommender.domain.shelf import Shelf
from shared.models import Attributes
from shared.personalize import invalid_input

if TYPE_CHECKING:
    from services.recommender.api.targets import Target
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.facts import Value

MOST_COLUMNS = 10
_ENABLED = "enableMetadataWithRecommendations"
_WITHOUT_ASKING = frozenset({"aws-user-personalization-v2", "aws-personalized-ranking-v2"})
"""Recipes whose campaigns have metadata unless their configuration says no, as the guide has it."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Some columns of the items that a target knows."""

    shelf: Shelf
    names: Sequence[str]

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
        shelf = target.deployed.shelf if target.deployed else None
        if shelf is None:
            return cls(Shelf([], {}, Attributes(), catalogue), names)
        unknown = [name for name in names if not shelf.knows(name)]
        if unknown:
            raise invalid_input(f"The items have no column {unknown[0]!r}: see the schema of the dataset.")
        return cls(shelf, names)

    def about(self, item_id: str) -> dict[str, str]:
        """The columns of an item that have a value."""
        return {name: _text(value) for name, value in self.shelf.cells(item_id, self.names).items()}


def _text(value: Value) -> str:
    """Whole numbers without a fraction, as schemas of whole numbers have them."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
