"""The events of users that a model scores from."""

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

    `types` are positions in the model's event types. Times are epoch seconds.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    types: NDArray[np.int16]
    times: NDArray[np.int64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model folder keeps them: int64[users + 1] and int[events]."""
        return {
            "offsets": self.offsets,
            "items": self.items,
            "types": self.types,
            "times": self.times,
        }

    def table(self, user: int) -> NDArray[np.int64]:
        """Return one user's events as rows of (item, type, time): int64[events, 3]."""
        events = slice(self.offsets[user], self.offsets[user + 1])
        return np.column_stack((self.items[events], self.types[events], self.times[events]))

    def newest(self, count: int) -> Histories:
        """Return the histories cut down to each user's newest `count` events."""
        if len(self.items) <= count:
            return self
        counts = np.diff(self.offsets)
        if counts.max(initial=0) <= count:
            return self
        kept = np.minimum(counts, count)
        return self._taken(self.offsets[1:] - kept, kept)

    def of(self, users: NDArray[np.int64]) -> Histories:
        """Return the histories of `users`, int64[rows], in that order; user −1 has no events."""
        begins = self.offsets[users]
        return self._taken(begins, np.where(users >= 0, self.offsets[users + 1] - begins, 0))

    def _taken(self, begins: NDArray[np.int64], counts: NDArray[np.int64]) -> Histories:
        events = ranges(begins, counts)
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        return Histories(offsets, self.items[events], self.types[events], self.times[events])

    def joined(self, more: Histories) -> Histories:
        """Return the events of both histories, which have the same users, sorted again."""
        pair = (self, more)
        users = np.concatenate([np.repeat(np.arange(len(h.offsets) - 1), np.diff(h.offsets)) for h in pair])
        items, types, times = (
            np.concatenate([getattr(h, name) for h in pair]) for name in ("items", "types", "times")
        )
        order = np.lexsort((items, times, users))
        return Histories(self.offsets + more.offsets, items[order], types[order], times[order])


@dataclass(frozen=True)
class LaterEvents:
    """Events after a model was trained, with the model's numbers of items and event types.

    User u of `users`, who may be unknown to the model, owns row u of `histories`.
    """

    users: Ids
    histories: Histories


@dataclass(frozen=True)
class SeenItems:
    """Distinct items per user, in no order: `items[offsets[u]:offsets[u + 1]]`."""

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model folder keeps them: int64[users + 1] and int32[pairs]."""
        return {"offsets": self.offsets, "items": self.items}

    def row(self, user: int) -> NDArray[np.int32]:
        """Return one user's items: int32[items]."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def pairs(self, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the rows and items of everything `users` saw: int64[pairs] and int32[pairs].

        Row r is the r-th of `users`; user −1 saw nothing.
        """
        counts = np.where(users >= 0, self.offsets[users + 1] - self.offsets[users], 0)
        rows = np.repeat(np.arange(len(users)), counts)
        return rows, self.items[ranges(self.offsets[users], counts)]


@dataclass(frozen=True)
class WeightedEvents:
    """One entry per user, item and second; `users` are row numbers of the histories they came from.

    A click and a purchase of one item in one second are one entry, with the larger weight.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int32]
    times: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, histories: Histories, type_weights: NDArray[np.float64]) -> WeightedEvents:
        """Weigh events by type, drop those of weight 0, and merge those of one user, item and second."""
        users, items, times = _users_of_events(histories.offsets), histories.items, histories.times
        weights = type_weights[histories.types]
        kept = weights > 0
        if not kept.all():
            users, items, times, weights = users[kept], items[kept], times[kept], weights[kept]
        if len(users) == 0:
            return cls(users, items, times, weights)
        same = (users[1:] == users[:-1]) & (times[1:] == times[:-1]) & (items[1:] == items[:-1])
        if not same.any():
            return cls(users, items, times, weights)
        first = np.flatnonzero(np.concatenate(([True], ~same)))
        return cls(users[first], items[first], times[first], np.maximum.reduceat(weights, first))

    def rows(self, begin: int, end: int) -> WeightedEvents:
        """Return the events of the rows `begin` to `end`, renumbered from 0."""
        events = slice(*np.searchsorted(self.users, [begin, end]))
        return WeightedEvents(
            self.users[events] - begin, self.items[events], self.times[events], self.weights[events]
        )

    def ages(self, unit: Unit) -> NDArray[np.int64]:
        """Return how many units each event lies before the user's newest one: int64[events]."""
        count = len(self.users)
        if count == 0:
            return np.zeros(0, np.int64)
        if self.users[0] == self.users[-1]:
            return self._ages_of_one_user(unit)
        new_user = self.users[1:] != self.users[:-1]
        if unit == "event":
            new_step = np.ones(count - 1, bool)
        else:
            steps_in_time = self.times if unit == "second" else self.times // SECONDS_PER_DAY
            new_step = (steps_in_time[1:] != steps_in_time[:-1]) | new_user
        steps = np.concatenate(([0], np.cumsum(new_step)))
        last = np.concatenate((np.flatnonzero(new_user), [count - 1]))
        runs = np.diff(last, prepend=-1)
        return np.repeat(steps[last], runs) - steps

    def _ages_of_one_user(self, unit: Unit) -> NDArray[np.int64]:
        """Return what `ages` does, in a third of its time."""
        count = len(self.users)
        if unit == "event":
            return np.arange(count - 1, -1, -1)
        steps = np.zeros(count, np.int64)
        times = self.times if unit == "second" else self.times // SECONDS_PER_DAY
        np.cumsum(times[1:] != times[:-1], out=steps[1:])
        ages: NDArray[np.int64] = steps[-1] - steps
        return ages

    def as_sets(self, rows: NDArray[np.int64], items: NDArray[Any], item_count: int) -> WeightedEvents:
        """Return every item of each row once, with weight 1 and no time, and the (row, item) pairs given.

        `rows` is int64[pairs], `items` int[pairs].
        """
        cells = np.concatenate((self.users, rows)) * item_count + np.concatenate((self.items, items))
        users, items = np.divmod(distinct(cells), item_count)
        count = len(users)
        return WeightedEvents(users, items.astype(np.int32), np.zeros(count, np.int64), np.ones(count))

    def shares(self, decay: float, unit: Unit) -> NDArray[np.float64]:
        """Return each event's share of its user, decayed by age; sums to 1 per user: float64[events]."""
        decayed = self.weights * np.power(decay, self.ages(unit))
        count = int(self.users[-1]) + 1 if len(self.users) else 0
        totals = np.bincount(self.users, weights=decayed, minlength=count)
        shares: NDArray[np.float64] = decayed / totals[self.users]
        return shares


def _users_of_events(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row number of each event: int64[events]."""
    if len(offsets) == 2:
        return np.zeros(offsets[1] - offsets[0], np.int64)
    counts = np.diff(offsets)
    return np.repeat(np.arange(len(counts)), counts)


def distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the distinct numbers, sorted: int64[distinct numbers].

    For millions of numbers this takes a tenth of the time of np.unique's hash table.
    """
    ordered = np.sort(numbers)
    new = np.ones(len(ordered), bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new]


def ranges(begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of all ranges begin … begin + count, end to end: int64[sum of counts]."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + np.repeat(begins - ends + counts, counts)
