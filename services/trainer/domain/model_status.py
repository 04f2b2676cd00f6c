"""The models of a tenant's newest training, as programs of existing shops ask for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from services.trainer.domain.runs import LIVE_RECIPE, POPULARITY, SIMILAR

NOTHING_TRAINED: Final[dict[str, bool]] = {
    "collaborative_filtering": False,
    "content_based": False,
    "matrix_factorization": False,
    "popularity_based": False,
}


@dataclass(frozen=True, slots=True)
class Training:
    """The newest completed full run: its models by recipe, its lists, and the items of its catalogue."""

    run: int
    trained_at: datetime | None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lists: Collection[str] = ()
    items: int = 0

    @property
    def algorithms(self) -> dict[str, bool]:
        """Return which kinds of algorithms the models and lists have.

        Similar items compare the words of a catalogue, too. No recipe of a run factorizes a matrix.
        """
        return NOTHING_TRAINED | {
            "collaborative_filtering": LIVE_RECIPE in self.models,
            "content_based": SIMILAR in self.models and self.items > 0,
            "popularity_based": POPULARITY in self.lists,
        }

    @property
    def metadata(self) -> dict[str, Any]:
        """Return the run, the offline metrics of each model, and the names of the lists."""
        metrics = {name: dict(model.get("metrics") or {}) for name, model in self.models.items()}
        return {"run": self.run, "models": metrics, "lists": sorted(self.lists)}
