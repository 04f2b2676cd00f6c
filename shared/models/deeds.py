"""Who did what to which item: what filters by interactions ask a model for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.models.histories import distinct


@dataclass(frozen=True)
class Deeds:
    """Distinct (user, item, event type): user u owns `offsets[u]:offsets[u + 1]`.

    Unlike the histories these are all events that training was given, those included that it does not
    count. `types` number into `names`, which are canonical. A model whose recipe does not know users, or
    that was saved before deeds were kept, has none: `known` is False.
    """

    offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    items: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    types: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        users: NDArray[np.integer[Any]],
        items: NDArray[np.integer[Any]],
        types: NDArray[np.integer[Any]],
        names: tuple[str, ...],
        *,
        user_count: int,
        item_count: int,
    ) -> Deeds:
        """From one row per event; all are numbers."""
        pairs = users.astype(np.int64) * item_count + items
        pairs, types = np.divmod(distinct(pairs * len(names) + types), max(len(names), 1))
        owners, items = np.divmod(pairs, max(item_count, 1))
        offsets = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=user_count))))
        return cls(offsets.astype(np.int64), items.astype(np.int32), types.astype(np.int16), names)

    @property
    def known(self) -> bool:
        """Whether they were kept."""
        return len(self.offsets) > 0

    def row(self, user: int) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """One user's items, and what was done with each."""
        some = slice(self.offsets[user], self.offsets[user + 1])
        return self.items[some], self.types[some]

    def done(self, user: int, name: str) -> NDArray[np.int32]:
        """The items with which one user did something of a canonical type."""
        items, types = self.row(user)
        return items[types == self.names.index(name)] if name in self.names else items[:0]

    @property
    def users(self) -> NDArray[np.int64]:
        """The user of each deed."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a model folder keeps them."""
        return {"offsets": self.offsets, "items": self.items, "types": self.types}
