"""The interactions of each user with each item, which filters by interactions look up in a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.models.histories import distinct


@dataclass(frozen=True)
class InteractionIndex:
    """Distinct (user, item, event type) triples: user u owns `offsets[u]:offsets[u + 1]`.

    Unlike the histories, the index covers all events of the training data, also those that training does not
    count. `types` are positions in `event_types`, which are canonical names. A model whose recipe does not
    keep users, or that was saved before the index existed, has an empty index: `available` is False.
    """

    offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    items: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    types: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    event_types: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        users: NDArray[np.integer[Any]],
        items: NDArray[np.integer[Any]],
        types: NDArray[np.integer[Any]],
        event_types: tuple[str, ...],
        *,
        user_count: int,
        item_count: int,
    ) -> InteractionIndex:
        """Build the index from one row per event; `users`, `items` and `types` are numbers."""
        pairs = users.astype(np.int64) * item_count + items
        pairs, types = np.divmod(distinct(pairs * len(event_types) + types), max(len(event_types), 1))
        owners, items = np.divmod(pairs, max(item_count, 1))
        offsets = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=user_count))))
        return cls(offsets.astype(np.int64), items.astype(np.int32), types.astype(np.int16), event_types)

    @property
    def available(self) -> bool:
        """Return whether the model has an index."""
        return len(self.offsets) > 0

    def row(self, user: int) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """Return one user's items and the event type of each: int32[entries] and int16[entries]."""
        entries = slice(self.offsets[user], self.offsets[user + 1])
        return self.items[entries], self.types[entries]

    def items_with(self, user: int, event_type: str) -> NDArray[np.int32]:
        """Return the items with which a user has an event of a canonical type: int32[items]."""
        items, types = self.row(user)
        known = event_type in self.event_types
        return items[types == self.event_types.index(event_type)] if known else items[:0]

    @property
    def users(self) -> NDArray[np.int64]:
        """Return the user of each entry: int64[entries]."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model folder keeps them: int64[users + 1] and int[entries]."""
        return {"offsets": self.offsets, "items": self.items, "types": self.types}
