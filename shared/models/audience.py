"""Scoring users: one live with the newest events, many in blocks for a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shared.events import canonical_type
from shared.models.exploration import Bonus
from shared.models.histories import Histories, Later, Occasions, Seen, occasions
from shared.models.ids import Ids
from shared.models.neighbours import Neighbours
from shared.models.parts import Part
from shared.models.scoring import DECIMALS, Numbers, Scores, Scoring, best
from shared.models.wide import FEWEST_ITEMS, WideWorkspace
from shared.models.workspace import Workspace

HISTORY = 100
"""How many of a user's newest events are kept and scored."""

_CELLS_PER_BLOCK = 1 << 17
# What is read of the main tastes' table for one row serves others too.
_ROWS_OF_SETS = 16

Event = tuple[str, str, int]
"""(item id, event type, epoch seconds)."""

Found = tuple[Numbers, Scores]

_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.int64))

Mask = NDArray[np.bool_]
"""By the number of an item: whether it may be recommended."""

Allowed = Mask | Callable[[str], Mask | None] | None
"""One mask for every query, or a query's own; None allows everything."""


def masks(allowed: Allowed) -> Callable[[str], Mask | None]:
    """The mask of a query."""
    if callable(allowed):
        return allowed
    return lambda _: allowed


@dataclass(frozen=True)
class Audience:
    """The users of a model, and the parts that score items for them.

    `prior` is what every item scores before anything is known of the user.
    """

    scoring: Scoring
    users: Ids
    items: Ids
    histories: Histories
    older: Seen
    parts: tuple[Part, ...]
    prior: Scores

    def one(
        self,
        user_id: str | None,
        history: Sequence[Event],
        barred: Sequence[int],
        limit: int,
        allowed: Mask | None = None,
        bonus: Scores | None = None,
        factor: Scores | None = None,
        *,
        among: bool = False,
    ) -> Found | None:
        """The best items for one user, or None when no event is known that counts.

        `factor` multiplies the items' scores; `bonus` is added to them, as shares of the highest one. With
        `among` the shown scores are distributed over the allowed items alone, and what the user has seen
        may be among them.
        """
        user = None if user_id is None else self.users.find(user_id)
        events = self._merged(user, history)
        seen = self._occasions(events, np.array([-1 if user is None else user]))
        if len(seen.users) == 0:
            return None
        space = self._spaces.pop() if self._spaces else Workspace(1, len(self.items))
        block = space.scores(self.parts, seen, 1, self.prior)
        scores = block[0]
        if factor is not None:
            np.multiply(scores, factor, out=scores, where=scores > 0)
        if bonus is not None:
            scores += bonus * max(float(scores.max(initial=0.0)), 0.0)
        if among and allowed is not None:
            scores[~allowed] = -np.inf
        scale = self._scale(space, block)
        scores[barred] = -np.inf
        if self.scoring.exclude_seen and not among:
            scores[events.items[self._type_weights[events.types] > 0]] = -np.inf
            if user is not None:
                scores[self.older.row(user)] = -np.inf
        numbers = best(scores, limit, allowed)
        shown = self._shown(scores[numbers], *(column[0] for column in scale))
        self._spaces.append(space)
        return numbers, shown

    def raw(self, users: Numbers) -> Scores:
        """What items score for some users, (users, items), before scores are scaled; −inf where barred."""
        events = self.histories.of(users)
        space = Workspace(len(users), len(self.items))
        scores = space.scores(self.parts, self._occasions(events, users), len(users), self.prior)
        if self.scoring.exclude_seen:
            self._bar_seen(scores, events, users)
        return scores

    def many(
        self,
        queries: Sequence[str],
        limit: int,
        allowed: Allowed = None,
        later: Later | None = None,
        bonus: Bonus | None = None,
    ) -> Iterator[tuple[str, Found | None]]:
        """The same for many users, from what training knows of them and what they did later."""
        if self._wide and allowed is None and bonus is None:
            yield from self._many_of_wide(queries, limit, later)
            return
        rows = max(_ROWS_OF_SETS if self.scoring.whole else 1, _CELLS_PER_BLOCK // max(len(self.items), 1))
        space = Workspace(rows, len(self.items))
        for begin in range(0, len(queries), rows):
            yield from self._block(space, queries[begin : begin + rows], limit, allowed, later, bonus)

    def _block(
        self,
        space: Workspace,
        queries: Sequence[str],
        limit: int,
        allowed: Allowed,
        later: Later | None,
        bonus: Bonus | None,
    ) -> Iterator[tuple[str, Found | None]]:
        asked, known, events = self._events(queries, later)
        seen = self._occasions(events, known)
        scores = space.scores(self.parts, seen, len(known), self.prior)
        if bonus is not None:
            bonus.lift(scores)
        highest, total = self._scale(space, scores)
        if self.scoring.exclude_seen:
            self._bar_seen(scores, events, known)
        _bar(scores, [query for query, one in zip(queries, asked, strict=True) if one], allowed)
        offsets, numbers = space.best(scores, limit)
        rows = np.repeat(np.arange(len(known)), np.diff(offsets))
        shown = self._shown(scores[rows, numbers], highest[rows], total[rows])
        yield from _answers(queries, asked, seen, offsets, (numbers, shown))

    @property
    def _wide(self) -> bool:
        """Whether a row's events move few of the items."""
        tables = all(isinstance(part.table, Neighbours) for part in self.parts)
        return tables and len(self.items) >= FEWEST_ITEMS

    def _many_of_wide(
        self, queries: Sequence[str], limit: int, later: Later | None
    ) -> Iterator[tuple[str, Found | None]]:
        """The same where to look at every item would cost the most."""
        temperature = self.scoring.temperature if self.scoring.scale == "softmax" else None
        space = WideWorkspace(self.prior, limit, temperature)
        for begin in range(0, len(queries), space.rows):
            some = queries[begin : begin + space.rows]
            asked, known, events = self._events(some, later)
            seen = self._occasions(events, known)
            barred = self._seen(events, known) if self.scoring.exclude_seen else _NOTHING
            offsets, numbers, raw, highest, total = space.found(self.parts, seen, len(known), barred)
            rows = np.repeat(np.arange(len(known)), np.diff(offsets))
            shown = self._shown(raw, highest[rows], total[rows])
            yield from _answers(some, asked, seen, offsets, (numbers, shown))

    def _events(self, queries: Sequence[str], later: Later | None) -> tuple[Mask, Numbers, Histories]:
        """Which queries name known users; the numbers of those, −1 for new ones; and their events."""
        users = self.users.find_all(queries)
        newer = np.full(len(users), -1) if later is None else later.users.find_all(queries)
        asked = (users >= 0) | (newer >= 0)
        events = self.histories.of(users[asked])
        if later is not None and (newer >= 0).any():
            events = events.joined(later.histories.of(newer[asked]))
        return asked, users[asked], events

    def _occasions(self, events: Histories, users: Numbers) -> Occasions:
        """What the events of some users (−1 is unknown) say to the parts."""
        if not self.scoring.whole:
            return occasions(events.newest(HISTORY), self._type_weights)
        seen = occasions(events, self._type_weights)
        return seen.whole(*self.older.pairs(users), len(self.items))

    @cached_property
    def _spaces(self) -> list[Workspace]:
        """Buffers at rest: a thread takes one or makes one, and puts it back."""
        return []

    @cached_property
    def _type_weights(self) -> NDArray[np.float64]:
        """An event's weight by the number of its type."""
        return np.array(self.scoring.type_weights)

    @cached_property
    def _types(self) -> dict[str, int]:
        """Spellings met so far → the number of their canonical type."""
        return {}

    def _type(self, spelling: str) -> int:
        names = self.scoring.event_types
        name = canonical_type(spelling)
        number = names.index(name) if name in names else len(names) - 1
        if len(self._types) < 1000:
            self._types[spelling] = number
        return number

    def _merged(self, user: int | None, history: Sequence[Event]) -> Histories:
        """One user's stored events and the given ones, sorted by time, then item."""
        numbers, types = self.items.numbers, self._types
        known = [
            (number, types[kind] if kind in types else self._type(kind), when)
            for item, kind, when in history
            if (number := numbers.get(item)) is not None
        ]
        given = np.array(known, np.int64).reshape(-1, 3)
        if user is not None:
            given = np.concatenate((self.histories.table(user), given))
        given = given[np.lexsort((given[:, 0], given[:, 2]))]
        return Histories(
            np.array([0, len(given)]),
            given[:, 0].astype(np.int32),
            given[:, 1].astype(np.int16),
            given[:, 2],
        )

    def _bar_seen(self, scores: Scores, events: Histories, users: Numbers) -> None:
        scores[self._seen(events, users)] = -np.inf

    def _seen(self, events: Histories, users: Numbers) -> tuple[Numbers, Numbers]:
        """(row, item) of all that users have seen."""
        row = np.repeat(np.arange(len(users)), np.diff(events.offsets))
        counted = self._type_weights[events.types] > 0
        older_row, older = self.older.pairs(users)
        return np.concatenate((row[counted], older_row)), np.concatenate((events.items[counted], older))

    def _scale(self, space: Workspace, scores: Scores) -> tuple[Scores, Scores]:
        """What turns a row's raw scores into shown ones: its highest, and a softmax's divisor."""
        if self.scoring.scale == "softmax":
            return space.softmax(scores, self.scoring.temperature)
        return np.zeros(len(scores)), np.ones(len(scores))

    def _shown(self, raw: Scores, highest: Scores, total: Scores) -> Scores:
        if self.scoring.scale == "softmax":
            raw = np.exp((raw - highest) / self.scoring.temperature) / total
        shown: Scores = np.round(raw, DECIMALS)
        return shown


def _answers(
    queries: Sequence[str], asked: Mask, seen: Occasions, offsets: Numbers, found: Found
) -> Iterator[tuple[str, Found | None]]:
    """Each query's part of what was found for those that were `asked`; None without an event that counts."""
    numbers, shown = found
    blank = np.bincount(seen.users, minlength=len(offsets) - 1) == 0
    row = -1
    for query, one in zip(queries, asked.tolist(), strict=True):
        row += one
        if not one or blank[row]:
            yield query, None
        else:
            some = slice(offsets[row], offsets[row + 1])
            yield query, (numbers[some], shown[some])


def _bar(scores: Scores, queries: Sequence[str], allowed: Allowed) -> None:
    """Take what a row's query does not allow out of its scores."""
    if allowed is None:
        return
    if not callable(allowed):
        scores[:, ~allowed] = -np.inf
        return
    for row, query in zip(scores, queries, strict=True):
        mask = allowed(query)
        if mask is not None:
            row[~mask] = -np.inf
