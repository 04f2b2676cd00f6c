"""The seam for a second compute backend: what recipes add up over all users, wherever that is done.

Every item-item matrix here is a sum over users, so it may be summed in parts: each part holds whole users,
and the sum of the parts' matrices is that of all. `partial` makes a part's, and is the same code that a
recipe runs on one machine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import sparse

from services.engine.training.dataset.columns import each

if TYPE_CHECKING:
    from services.engine.training.dataset.dataset import Dataset


@dataclass(frozen=True)
class Rule:
    """Which interactions count: of these event types, with values at their types' thresholds."""

    types: frozenset[str]
    thresholds: Mapping[str, float]


@dataclass(frozen=True)
class Asked:
    """Which matrix: users in `common`, the Gram matrix of `interest`, or `followers` that fade with distance.

    Followers are looked for within `reach` steps. `weights` are those of the event types.
    """

    matrix: str
    weights: Mapping[str, float]
    fade: float = 1.0
    reach: int = 10


class Counts(Protocol):
    """Sums over the users of a data set that is not (wholly) in memory."""

    def ruled(self, rule: Rule) -> Counts:
        """The same of the interactions that count."""
        ...

    def without(self, users: Collection[str], *, but: Dataset) -> Counts:
        """The same without some users, of whom some interactions are put back."""
        ...

    def summed(self, asked: Asked) -> sparse.csr_array:
        """The items × items matrix, float64, in the data set's numbers of items."""
        ...


def mask(dataset: Dataset, rule: Rule) -> np.ndarray:
    """The rows of a data set that count."""
    names = dataset.event_type_names
    kept = each(np.array([name in rule.types for name in names]), dataset.event_types)
    for number, name in enumerate(names):
        if name in rule.thresholds:
            with np.errstate(invalid="ignore"):
                reaches = dataset.values >= rule.thresholds[name]
            kept = kept & (reaches | (dataset.event_types != number))
    return np.asarray(kept, bool)


def partial(dataset: Dataset, asked: Asked) -> sparse.csr_array:
    """The matrix of some users' interactions."""
    # Recipes know of this module, so it gets to know their parts as late as it can.
    from services.engine.recipes import ingredients, similarity  # noqa: PLC0415
    from services.engine.recipes.assembly import occasions_of  # noqa: PLC0415
    from services.engine.training.methods import transitions  # noqa: PLC0415

    count = len(dataset.item_ids)
    if asked.matrix == "common":
        seen = similarity.users_by_items(dataset)
        common: sparse.csr_array = (seen.T @ seen).tocsr()
        return common
    if asked.matrix == "interest":
        liked = ingredients.interest(dataset, dict(asked.weights))
        gram: sparse.csr_array = (liked.T @ liked).tocsr()
        return gram
    chunks = dataset.chunks(transitions.at_once(asked.reach))
    occasions = (occasions_of(some, asked.weights) for some in chunks)
    forward, happened = transitions.forward(occasions, count, asked.fade, asked.reach)
    # Nothing follows itself: the diagonal is free to carry how often each item occurred.
    total: sparse.csr_array = (forward + sparse.diags_array(happened)).tocsr()
    return total
