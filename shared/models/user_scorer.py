"""Scores of items for users: for one user with new events, or for many users in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shared.events import canonical_type
from shared.models.components import ScoringComponent
from shared.models.exploration import Bonus
from shared.models.histories import Histories, LaterEvents, SeenItems, WeightedEvents
from shared.models.ids import Ids
from shared.models.neighbours import Neighbours
from shared.models.scoring import DECIMALS, Numbers, Scores, Scoring, best
from shared.models.sparse_workspace import MIN_ITEMS, SparseWorkspace
from shared.models.workspace import Workspace

HISTORY = 100
"""The number of a user's newest events that are kept and scored."""

_CELLS_PER_BLOCK = 1 << 17
"""Scores of a block, 1 MiB of float64."""
_ROWS_PER_SET_BLOCK = 16
"""Rows of a block where histories are sets: a latent-factor table read for one row serves the others."""
_MAX_SPELLINGS = 1000
"""Spellings of event types that are remembered: a client may invent any number of them."""

Event = tuple[str, str, int]
"""(item id, event type, epoch seconds)."""

Ranking = tuple[Numbers, Scores]
"""Items and their scores, best first: int64[items] and float64[items]."""

_NO_PAIRS = (np.zeros(0, np.int64), np.zeros(0, np.int64))

Mask = NDArray[np.bool_]
"""bool[items]: whether an item may be recommended."""

Allowed = Mask | Callable[[str], Mask | None] | None
"""One mask for every query, or a query's own; None allows everything."""


def mask_of_query(allowed: Allowed) -> Callable[[str], Mask | None]:
    """Return a function that gives the mask of a query."""
    if callable(allowed):
        return allowed
    return lambda _: allowed


@dataclass(frozen=True)
class UserScorer:
    """The users of a model, and the components that score items for them.

    `prior` is what every item scores before anything is known of the user: float64[items].
    """

    scoring: Scoring
    users: Ids
    items: Ids
    histories: Histories
    older: SeenItems
    components: tuple[ScoringComponent, ...]
    prior: Scores

    def rank(
        self,
        user_id: str | None,
        history: Sequence[Event],
        excluded: Sequence[int],
        limit: int,
        allowed: Mask | None = None,
        bonus: Scores | None = None,
        factor: Scores | None = None,
        *,
        only_allowed: bool = False,
    ) -> Ranking | None:
        """Return the best items for one user, or None when the user has no event that counts.

        `factor` multiplies the items' scores; `bonus` is added to them, as shares of the highest one: both
        float64[items]. With `only_allowed` the scores returned are distributed over the allowed items alone,
        and items that the user has seen may be among them.
        """
        user = None if user_id is None else self.users.find(user_id)
        events = self.merged_events(user, history)
        weighted = self.weighted_events(events, np.array([-1 if user is None else user]))
        if len(weighted.users) == 0:
            return None
        workspace = self._workspaces.pop() if self._workspaces else Workspace(1, len(self.items))
        block = workspace.scores(self.components, weighted, 1, self.prior)
        scores = block[0]
        if factor is not None:
            np.multiply(scores, factor, out=scores, where=scores > 0)
        if bonus is not None:
            scores += bonus * max(float(scores.max(initial=0.0)), 0.0)
        if only_allowed and allowed is not None:
            scores[~allowed] = -np.inf
        scale = self._scale(workspace, block)
        scores[excluded] = -np.inf
        if self.scoring.exclude_seen and not only_allowed:
            scores[events.items[self._type_weights[events.types] > 0]] = -np.inf
            if user is not None:
                scores[self.older.row(user)] = -np.inf
        numbers = best(scores, limit, allowed)
        scaled = self._scaled(scores[numbers], *(column[0] for column in scale))
        self._workspaces.append(workspace)
        return numbers, scaled

    def raw_scores(self, users: Numbers) -> Scores:
        """Return the scores of `users`, int64[rows], before they are scaled: float64[rows, items].

        What may not be recommended scores −inf.
        """
        events = self.histories.of(users)
        workspace = Workspace(len(users), len(self.items))
        scores = workspace.scores(
            self.components, self.weighted_events(events, users), len(users), self.prior
        )
        if self.scoring.exclude_seen:
            self._exclude_seen(scores, events, users)
        return scores

    def rank_many(
        self,
        queries: Sequence[str],
        limit: int,
        allowed: Allowed = None,
        later: LaterEvents | None = None,
        bonus: Bonus | None = None,
    ) -> Iterator[tuple[str, Ranking | None]]:
        """Yield what `rank` returns for each user id, from stored events and those of `later`."""
        if self._is_sparse and allowed is None and bonus is None:
            yield from self._rank_sparse(queries, limit, later)
            return
        least = _ROWS_PER_SET_BLOCK if self.scoring.whole else 1
        rows = max(least, _CELLS_PER_BLOCK // max(len(self.items), 1))
        workspace = Workspace(rows, len(self.items))
        for begin in range(0, len(queries), rows):
            yield from self._block(workspace, queries[begin : begin + rows], limit, allowed, later, bonus)

    def _block(
        self,
        workspace: Workspace,
        queries: Sequence[str],
        limit: int,
        allowed: Allowed,
        later: LaterEvents | None,
        bonus: Bonus | None,
    ) -> Iterator[tuple[str, Ranking | None]]:
        known, users, events = self._events(queries, later)
        weighted = self.weighted_events(events, users)
        scores = workspace.scores(self.components, weighted, len(users), self.prior)
        if bonus is not None:
            bonus.add_to(scores)
        highest, total = self._scale(workspace, scores)
        if self.scoring.exclude_seen:
            self._exclude_seen(scores, events, users)
        known_queries = [query for query, is_known in zip(queries, known, strict=True) if is_known]
        _exclude_not_allowed(scores, known_queries, allowed)
        offsets, numbers = workspace.best(scores, limit)
        rows = np.repeat(np.arange(len(users)), np.diff(offsets))
        scaled = self._scaled(scores[rows, numbers], highest[rows], total[rows])
        yield from _rankings(queries, known, weighted, offsets, (numbers, scaled))

    @property
    def _is_sparse(self) -> bool:
        """Return whether a row's events change the scores of few of the items."""
        neighbours_only = all(isinstance(component.table, Neighbours) for component in self.components)
        return neighbours_only and len(self.items) >= MIN_ITEMS

    def _rank_sparse(
        self, queries: Sequence[str], limit: int, later: LaterEvents | None
    ) -> Iterator[tuple[str, Ranking | None]]:
        """Yield the same for wide catalogues, where visiting every item would cost the most."""
        temperature = self.scoring.temperature if self.scoring.scale == "softmax" else None
        workspace = SparseWorkspace(self.prior, limit, temperature)
        for begin in range(0, len(queries), workspace.rows):
            block = queries[begin : begin + workspace.rows]
            known, users, events = self._events(block, later)
            weighted = self.weighted_events(events, users)
            excluded = self._seen_pairs(events, users) if self.scoring.exclude_seen else _NO_PAIRS
            top = workspace.top(self.components, weighted, len(users), excluded)
            rows = np.repeat(np.arange(len(users)), np.diff(top.offsets))
            scaled = self._scaled(top.scores, top.highest[rows], top.total[rows])
            yield from _rankings(block, known, weighted, top.offsets, (top.numbers, scaled))

    def _events(self, queries: Sequence[str], later: LaterEvents | None) -> tuple[Mask, Numbers, Histories]:
        """Return which queries name known users; these users' numbers, −1 for new ones; their events."""
        users = self.users.find_all(queries)
        newer = np.full(len(users), -1) if later is None else later.users.find_all(queries)
        known = (users >= 0) | (newer >= 0)
        events = self.histories.of(users[known])
        if later is not None and (newer >= 0).any():
            events = events.joined(later.histories.of(newer[known]))
        return known, users[known], events

    def weighted_events(self, events: Histories, users: Numbers) -> WeightedEvents:
        """Return the events of `users`, −1 for unknown ones, as components read them."""
        if not self.scoring.whole:
            return WeightedEvents.of(events.newest(HISTORY), self._type_weights)
        weighted = WeightedEvents.of(events, self._type_weights)
        return weighted.as_sets(*self.older.pairs(users), len(self.items))

    @cached_property
    def _workspaces(self) -> list[Workspace]:
        """Buffers that are not in use: a thread takes one or makes one, and puts it back."""
        return []

    @cached_property
    def _type_weights(self) -> NDArray[np.float64]:
        """The weight of an event by the number of its type."""
        return np.array(self.scoring.type_weights)

    @cached_property
    def _types(self) -> dict[str, int]:
        """The number of the canonical type of each spelling met so far."""
        return {}

    def _type(self, spelling: str) -> int:
        names = self.scoring.event_types
        name = canonical_type(spelling)
        number = names.index(name) if name in names else len(names) - 1
        if len(self._types) < _MAX_SPELLINGS:
            self._types[spelling] = number
        return number

    def merged_events(self, user: int | None, history: Sequence[Event]) -> Histories:
        """Return one user's stored events and those of `history`, sorted by time, then item."""
        numbers, types = self.items.numbers, self._types
        # One flat list: numpy converts it in half the time of a list of tuples.
        known: list[int] = []
        for item, kind, when in history:
            number = numbers.get(item)
            if number is not None:
                known += (number, types[kind] if kind in types else self._type(kind), when)
        rows = np.array(known, np.int64).reshape(-1, 3)
        if user is not None:
            rows = np.concatenate((self.histories.table(user), rows))
        rows = rows[np.lexsort((rows[:, 0], rows[:, 2]))]
        return Histories(
            np.array([0, len(rows)]), rows[:, 0].astype(np.int32), rows[:, 1].astype(np.int16), rows[:, 2]
        )

    def _exclude_seen(self, scores: Scores, events: Histories, users: Numbers) -> None:
        scores[self._seen_pairs(events, users)] = -np.inf

    def _seen_pairs(self, events: Histories, users: Numbers) -> tuple[Numbers, Numbers]:
        """Return the rows and items of everything that `users` have seen."""
        row = np.repeat(np.arange(len(users)), np.diff(events.offsets))
        counted = self._type_weights[events.types] > 0
        older_row, older = self.older.pairs(users)
        return np.concatenate((row[counted], older_row)), np.concatenate((events.items[counted], older))

    def _scale(self, workspace: Workspace, scores: Scores) -> tuple[Scores, Scores]:
        """Return each row's highest score and softmax divisor, which `_scaled` needs."""
        if self.scoring.scale == "softmax":
            return workspace.softmax(scores, self.scoring.temperature)
        return np.zeros(len(scores)), np.ones(len(scores))

    def _scaled(self, raw: Scores, highest: Scores, total: Scores) -> Scores:
        if self.scoring.scale == "softmax":
            raw = np.exp((raw - highest) / self.scoring.temperature) / total
        scaled: Scores = np.round(raw, DECIMALS)
        return scaled


def _rankings(
    queries: Sequence[str], known: Mask, weighted: WeightedEvents, offsets: Numbers, top: Ranking
) -> Iterator[tuple[str, Ranking | None]]:
    """Yield each query's part of `top`, which has a row per known user; None without events that count."""
    numbers, scores = top
    without_events = np.bincount(weighted.users, minlength=len(offsets) - 1) == 0
    row = -1
    for query, is_known in zip(queries, known.tolist(), strict=True):
        row += is_known
        if not is_known or without_events[row]:
            yield query, None
        else:
            entries = slice(offsets[row], offsets[row + 1])
            yield query, (numbers[entries], scores[entries])


def _exclude_not_allowed(scores: Scores, queries: Sequence[str], allowed: Allowed) -> None:
    """Set the scores of items that a row's query does not allow to −inf."""
    if allowed is None:
        return
    if not callable(allowed):
        scores[:, ~allowed] = -np.inf
        return
    for row, query in zip(scores, queries, strict=True):
        mask = allowed(query)
        if mask is not None:
            row[~mask] = -np.inf
