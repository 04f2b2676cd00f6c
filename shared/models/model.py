"""A trained model: live scores for one query, blocks of scores for batch jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.events import canonical_type
from shared.models.attributes import Attributes
from shared.models.audience import Allowed, Audience, Event, Mask, masks
from shared.models.context import Context
from shared.models.exploration import Bonus
from shared.models.histories import Histories, Later, Seen
from shared.models.ids import Ids
from shared.models.interaction_index import InteractionIndex
from shared.models.neighbours import Neighbours
from shared.models.parts import Part
from shared.models.popularity import Popularity
from shared.models.scoring import DECIMALS, Numbers, Scores, Scoring, shares_of
from shared.models.standing import Standing

PURCHASE = "purchase"

# Popularity breaks ties: far below any real score, far above rounding.
_TIE = 1e-7


@dataclass(frozen=True)
class Model:
    """Plain arrays that answer "what next?" for a user, an item, or anybody.

    `popularity` counts unique users per item. `histories` are each training user's newest events,
    `older` the items of their events before those. `notes` say what training chose and why.
    `born` is when each item was first met in an event, `newest` the newest event's time; both in epoch
    seconds, 0 for never. `born` is empty in models that were saved before it was kept. `interactions` is the
    index for filters by interactions, and for recipes that leave out what a user bought. `context` is
    how items are spread over the values of the interactions' own columns.
    `tilt` is added to each item's score for users: an objective beside relevance; empty for none.
    `influence` is how much POPULARITY and FRESHNESS count beside an item's likeness to another, 0 … 1; it
    belongs to a campaign or a job, not to the folder.
    """

    recipe: str
    scoring: Scoring
    items: Ids
    users: Ids
    popularity: NDArray[np.float32]
    histories: Histories
    older: Seen
    parts: tuple[Part, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    item_attributes: Attributes = field(default_factory=Attributes)
    user_attributes: Attributes = field(default_factory=Attributes)
    born: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    newest: int = 0
    tilt: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    influence: Mapping[str, float] = field(default_factory=dict)
    interactions: InteractionIndex = field(default_factory=InteractionIndex)
    context: Context = field(default_factory=Context)

    def recommend(
        self,
        *,
        user_id: str | None = None,
        item_id: str | None = None,
        history: Sequence[Event] = (),
        exclude: Collection[str] = (),
        limit: int = 25,
        relevance: bool = False,
        allowed: Mask | None = None,
        bonus: Scores | None = None,
        context: Mapping[str, str] | None = None,
    ) -> list[tuple[str, float | None]]:
        """The best items for one query, with scores that never rise.

        `history` is appended to what training knows of the user; an event known already counts once.
        A user without any event, or an unknown item, gets what is popular. Scores are None where
        Personalize shows none, unless `relevance` asks for the number behind the order. `allowed` marks the
        items, by their numbers, that may be recommended; `bonus` raises items' scores for a user, by
        shares of that user's highest score. `context` are values of the interactions' own columns: what
        was met with them more than otherwise scores higher for a user.
        """
        if limit <= 0:
            return []
        barred = [number for text in exclude if (number := self._item(text)) is not None]
        barred += self._bought(user_id, history)
        if self.scoring.kind == "user":
            factor = self.context.factor(context) if context else None
            found = self._audience.one(user_id, history, barred, limit, allowed, bonus, factor)
            numbers, scores = found or self._popular.best(barred, limit, allowed, bonus, factor)
        elif self.scoring.kind == "item":
            numbers, scores = self._for_item(item_id, barred, limit, allowed)
        else:
            numbers, scores = self._popular.best(barred, limit, allowed)
        shown = self.scoring.scored or relevance
        ids = self.items.strings
        return [
            (ids[number], score if shown else None)
            for number, score in zip(numbers.tolist(), scores.tolist(), strict=True)
        ]

    def rank(
        self,
        user_id: str,
        history: Sequence[Event],
        item_ids: Collection[str],
        context: Mapping[str, str] | None = None,
    ) -> list[tuple[str, float]]:
        """Those of the given items that training knows, best first, with shares that sum to 1.

        Unlike recommend, what a user has seen may be among them.
        """
        given = [number for text in item_ids if (number := self._item(text)) is not None]
        if not given:
            return []
        among = np.zeros(len(self.items), bool)
        among[given] = True
        factor = self.context.factor(context) if context else None
        found = self._audience.one(user_id, history, [], len(given), among, factor=factor, among=True)
        numbers, scores = found or self._popular.best([], len(given), among, factor=factor)
        ids = self.items.strings
        return list(zip([ids[number] for number in numbers], shares_of(scores).tolist(), strict=True))

    def popular(self, *, exclude: Collection[str] = (), allowed: Mask | None = None) -> list[str]:
        """All items but the excluded ones, the most popular first."""
        barred = {number for text in exclude if (number := self._item(text)) is not None}
        numbers, _ = self._popular.best([*barred], len(self.items), allowed)
        ids = self.items.strings
        return [ids[number] for number in numbers.tolist()]

    def recommend_many(
        self,
        queries: Sequence[str] | None = None,
        limit: int = 25,
        allowed: Allowed = None,
        later: Later | None = None,
        bonus: Bonus | None = None,
    ) -> Iterator[tuple[str, list[str], list[float]]]:
        """(query, items, scores) for many users or items, in their order, in blocks of memory.

        None asks for every user with an event, or every item. Scores are relevance for all recipes;
        `scoring.scored` says whether the wire shows them. `allowed` marks the items that may be
        recommended: one mask for all, or a function that gives a query's (None allows everything).
        Where users are asked for, `later` adds what they did after training, and `bonus` lifts young items,
        for each user by another draw.
        """
        queries = self._everybody() if queries is None else queries
        if limit <= 0:
            return ((query, [], []) for query in queries)
        if self.scoring.kind == "user":
            allowed = self._unbought(allowed) if self.scoring.exclude_bought else allowed
            return self._for_users(queries, limit, allowed, later, bonus)
        return self._one_by_one(queries, limit, allowed)

    @cached_property
    def _audience(self) -> Audience:
        return Audience(
            self.scoring, self.users, self.items, self.histories, self.older, self.parts, self._prior
        )

    @cached_property
    def _popular(self) -> Popularity:
        return Popularity(self.popularity)

    @cached_property
    def _prior(self) -> Scores:
        """What every item scores for everybody: its popularity's share, and a way out of ties."""
        ranks = np.empty(len(self.items))
        ranks[self._popular.order] = np.arange(len(self.items))
        prior: Scores = _TIE * (1 - ranks / max(len(self.items), 1))
        if self.scoring.prior > 0:
            fame = np.log1p(self.popularity.astype(np.float64))
            prior += self.scoring.prior * fame / max(fame.max(initial=0.0), 1.0)
        return prior + self.tilt if len(self.tilt) else prior

    def raw(self, users: Numbers) -> Scores:
        """What items score for some users, (users, items), as training needs to know it."""
        return self._audience.raw(users)

    @cached_property
    def _standing(self) -> Standing:
        created = self.item_attributes.values("CREATION_TIMESTAMP")
        return Standing.of(self.popularity, self.born if created is None else created)

    def _bought(self, user_id: str | None, history: Sequence[Event] = ()) -> list[int]:
        """What a user bought and shall not be shown again."""
        if not self.scoring.exclude_bought:
            return []
        events = (self._item(item) for item, kind, _ in history if canonical_type(kind) == PURCHASE)
        bought = [number for number in events if number is not None]
        user = None if user_id is None or not self.interactions.available else self.users.find(user_id)
        return bought if user is None else bought + self.interactions.items_with(user, PURCHASE).tolist()

    def _unbought(self, allowed: Allowed) -> Callable[[str], Mask]:
        """The same masks without what each user bought."""
        mask = masks(allowed)

        def unbought(user_id: str) -> Mask:
            given = mask(user_id)
            own = np.ones(len(self.items), bool) if given is None else given.copy()
            own[self._bought(user_id)] = False
            return own

        return unbought

    def _item(self, item_id: str) -> int | None:
        return self.items.numbers.get(item_id)

    def _for_item(
        self, item_id: str | None, barred: Sequence[int], limit: int, allowed: Mask | None = None
    ) -> tuple[Numbers, Scores]:
        """An item's neighbours, then popular items without relevance to fill the list up."""
        item = None if item_id is None else self._item(item_id)
        if item is None:
            return self._popular.best(barred, limit, allowed)
        table = self.parts[0].table
        assert isinstance(table, Neighbours), "an item's list is a row of a table"
        near, weights = table.row(item)
        if self.influence:
            near, weights = self._standing.influenced(near, weights, self.influence)
        barred = [*barred, item]
        kept = ~np.isin(near, barred)
        if allowed is not None:
            kept &= allowed[near]
        numbers = near[kept][:limit].astype(np.int64)
        scores = weights[kept][:limit].astype(np.float64).round(DECIMALS)
        missing = limit - len(numbers)
        if missing > 0:
            more, _ = self._popular.best([*barred, *numbers.tolist()], missing, allowed)
            numbers = np.concatenate((numbers, more))
            scores = np.concatenate((scores, np.zeros(len(more))))
        return numbers, scores

    def _one_by_one(
        self, queries: Sequence[str], limit: int, allowed: Allowed
    ) -> Iterator[tuple[str, list[str], list[float]]]:
        """Similar and popular items: a row's lookup, so nothing is gained from blocks."""
        ids = self.items.strings
        popular = self._popular_for_many(limit, allowed)
        mask = masks(allowed)
        for query in queries:
            if self.scoring.kind == "popular" or self._item(query) is None:
                numbers, scores = popular(query)
            else:
                numbers, scores = self._for_item(query, [], limit, mask(query))
            yield query, [ids[number] for number in numbers.tolist()], scores.tolist()

    def _popular_for_many(
        self, limit: int, allowed: Allowed, bonus: Bonus | None = None
    ) -> Callable[[str], tuple[Numbers, Scores]]:
        """What is popular, by query; found once where the query makes no difference."""
        if bonus is not None:
            mask = masks(allowed)
            return lambda query: self._popular.best([], limit, mask(query), bonus.drawn())
        if callable(allowed):
            return lambda query: self._popular.best([], limit, allowed(query))
        found = self._popular.best([], limit, allowed)
        return lambda _: found

    def _everybody(self) -> list[str]:
        """Every item, or every user with an event; all users where no events are kept."""
        if self.scoring.kind == "item":
            return self.items.strings
        if self.scoring.kind == "popular":
            return self.users.strings
        strings = self.users.strings
        return [strings[user] for user in np.flatnonzero(np.diff(self.histories.offsets))]

    def _for_users(
        self,
        queries: Sequence[str],
        limit: int,
        allowed: Allowed,
        later: Later | None,
        bonus: Bonus | None,
    ) -> Iterator[tuple[str, list[str], list[float]]]:
        ids = self.items.strings
        popular = self._popular_for_many(limit, allowed, bonus)
        for query, found in self._audience.many(queries, limit, allowed, later, bonus):
            numbers, scores = popular(query) if found is None else found
            yield query, [ids[number] for number in numbers.tolist()], scores.tolist()
