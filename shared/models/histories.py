"""What users did, newest last: the events that a model scores from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.models.ids import Ids
from shared.models.neighbours import Unit

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Histories:
    """Events of many users: user u owns `offsets[u]:offsets[u + 1]`, sorted by time, then item.

    `types` are numbers into the model's event types. Times are epoch seconds.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    types: NDArray[np.int16]
    times: NDArray[np.int64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a model folder keeps them."""
        return {
            "offsets": self.offsets,
            "items": self.items,
            "types": self.types,
            "times": self.times,
        }

    def table(self, user: int) -> NDArray[np.int64]:
        """One user's events as rows of (item, type, time)."""
        some = slice(self.offsets[user], self.offsets[user + 1])
        return np.column_stack((self.items[some], self.types[some], self.times[some]))

    def newest(self, count: int) -> Histories:
        """The histories cut down to each user's newest events."""
        counts = np.diff(self.offsets)
        if counts.max(initial=0) <= count:
            return self
        kept = np.minimum(counts, count)
        places = ranges(self.offsets[1:] - kept, kept)
        offsets = np.concatenate(([0], np.cumsum(kept))).astype(np.int64)
        return Histories(offsets, self.items[places], self.types[places], self.times[places])

    def of(self, users: NDArray[np.int64]) -> Histories:
        """The histories of some users, in the order asked for; −1 is a user without events."""
        begins = self.offsets[users]
        counts = np.where(users >= 0, self.offsets[users + 1] - begins, 0)
        places = ranges(begins, counts)
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        return Histories(offsets, self.items[places], self.types[places], self.times[places])

    def joined(self, other: Histories) -> Histories:
        """Both histories of the same users, sorted anew."""
        pair = (self, other)
        users = np.concatenate([np.repeat(np.arange(len(h.offsets) - 1), np.diff(h.offsets)) for h in pair])
        items, types, times = (
            np.concatenate([getattr(h, name) for h in pair]) for name in ("items", "types", "times")
        )
        order = np.lexsort((items, times, users))
        return Histories(self.offsets + other.offsets, items[order], types[order], times[order])


@dataclass(frozen=True)
class Later:
    """What users did after a model was trained, in the model's numbers of items and types.

    User u of `users`, whom the model may not know, owns row u of `histories`.
    """

    users: Ids
    histories: Histories


@dataclass(frozen=True)
class Seen:
    """Distinct items per user, without order: `items[offsets[u]:offsets[u + 1]]`."""

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a model folder keeps them."""
        return {"offsets": self.offsets, "items": self.items}

    def row(self, user: int) -> NDArray[np.int32]:
        """One user's items."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def pairs(self, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """(row, item) of everything that some users saw; rows in the order asked for; −1 saw nothing."""
        counts = np.where(users >= 0, self.offsets[users + 1] - self.offsets[users], 0)
        rows = np.repeat(np.arange(len(users)), counts)
        return rows, self.items[ranges(self.offsets[users], counts)]


@dataclass(frozen=True)
class Occasions:
    """One row per user, item and second: `users` are row numbers of the histories they came from.

    A click and a purchase of one thing in one second are one occasion, with the larger weight.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int32]
    times: NDArray[np.int64]
    weights: NDArray[np.float64]

    def rows(self, begin: int, end: int) -> Occasions:
        """The occasions of some rows, numbered from 0 again."""
        low, high = np.searchsorted(self.users, [begin, end])
        some = slice(low, high)
        return Occasions(self.users[some] - begin, self.items[some], self.times[some], self.weights[some])

    def ages(self, unit: Unit) -> NDArray[np.int64]:
        """How many units before the user's newest event each one lies."""
        count = len(self.users)
        if count == 0:
            return np.zeros(0, np.int64)
        new_user = self.users[1:] != self.users[:-1]
        if unit == "event":
            new_step = np.ones(count - 1, bool)
        else:
            moments = self.times if unit == "second" else self.times // SECONDS_PER_DAY
            new_step = (moments[1:] != moments[:-1]) | new_user
        steps = np.concatenate(([0], np.cumsum(new_step)))
        last = np.concatenate((np.flatnonzero(new_user), [count - 1]))
        runs = np.diff(last, prepend=-1)
        return np.repeat(steps[last], runs) - steps

    def whole(self, rows: NDArray[np.int64], items: NDArray[Any], count: int) -> Occasions:
        """Every item of each row once, whenever it was, and the given (row, item) pairs, of `count` items."""
        cells = distinct(np.concatenate((self.users, rows)) * count + np.concatenate((self.items, items)))
        users, items = np.divmod(cells, count)
        return Occasions(users, items.astype(np.int32), np.zeros(len(cells), np.int64), np.ones(len(cells)))

    def shares(self, decay: float, unit: Unit) -> NDArray[np.float64]:
        """Each event's share of its user's say: faded by age, summing to 1 per user."""
        faded = self.weights * np.power(decay, self.ages(unit))
        count = int(self.users[-1]) + 1 if len(self.users) else 0
        totals = np.bincount(self.users, weights=faded, minlength=count)
        shares: NDArray[np.float64] = faded / totals[self.users]
        return shares


def distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct numbers, sorted: a tenth of the time that np.unique's hash table takes for millions."""
    ordered = np.sort(numbers)
    new = np.ones(len(ordered), bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new]


def ranges(begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """All numbers of the ranges begin … begin + count, end to end."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + np.repeat(begins - ends + counts, counts)


def occasions(histories: Histories, type_weights: NDArray[np.float64]) -> Occasions:
    """Histories without the events that weigh nothing, and one row per user, item and second."""
    counts = np.diff(histories.offsets)
    users = np.repeat(np.arange(len(counts)), counts)
    weights = type_weights[histories.types]
    kept = weights > 0
    users, items, times = users[kept], histories.items[kept], histories.times[kept]
    weights = weights[kept]
    if len(users) == 0:
        return Occasions(users, items, times, weights)
    new = np.ones(len(users), bool)
    new[1:] = (users[1:] != users[:-1]) | (times[1:] != times[:-1]) | (items[1:] != items[:-1])
    first = np.flatnonzero(new)
    return Occasions(users[first], items[first], times[first], np.maximum.reduceat(weights, first))
