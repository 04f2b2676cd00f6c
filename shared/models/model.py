"""A trained model: scores for one query, or for many in blocks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.events import RecipeTraits, canonical_type
from shared.models.attributes import Attributes
from shared.models.components import ScoringComponent
from shared.models.context import Context
from shared.models.exploration import Bonus
from shared.models.histories import Histories, LaterEvents, SeenItems
from shared.models.ids import Ids
from shared.models.interaction_index import InteractionIndex
from shared.models.neighbours import Neighbours
from shared.models.popularity import Popularity
from shared.models.ranking_influence import RankingInfluence
from shared.models.scoring import DECIMALS, Numbers, Scores, Scoring, normalized
from shared.models.user_scorer import Allowed, Event, Mask, Ranking, UserScorer, mask_of_query

PURCHASE = "purchase"

_TIE = 1e-7
"""Popularity breaks ties: far below any real score, far above rounding."""


@dataclass(frozen=True)
class Model:
    """Plain arrays that recommend items to a user, for an item, or to anybody.

    `popularity`, float32[items], counts the users of each item. `histories` are each training user's newest
    events, `older` the items of the events before those. `components` are what users' scores are summed from;
    for scores of kind "item" the first one is the table of similar items. `notes` are what training selected
    and why. `first_event_times`, int64[items], is the time of each item's first event, `newest_event_time`
    that of the newest event of all, both in epoch seconds, 0 without an event; models that were saved before
    these were kept have no times. `interactions` is the index for filters, and for recipes that leave out
    what a user bought. `context` is the distribution of items over the values of the interactions' metadata
    columns. `traits` are those of the recipe; None in models that were saved before they were kept.
    `objective_scores`, float32[items], is added to each item's score for users: an objective beside
    relevance; empty for none. `influence` is the weight of POPULARITY and FRESHNESS beside the similarity of
    items, 0 … 1; it belongs to a campaign or a job, not to the folder.
    """

    recipe: str
    scoring: Scoring
    items: Ids
    users: Ids
    popularity: NDArray[np.float32]
    histories: Histories
    older: SeenItems
    components: tuple[ScoringComponent, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    item_attributes: Attributes = field(default_factory=Attributes)
    user_attributes: Attributes = field(default_factory=Attributes)
    first_event_times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    newest_event_time: int = 0
    objective_scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    influence: Mapping[str, float] = field(default_factory=dict)
    interactions: InteractionIndex = field(default_factory=InteractionIndex)
    context: Context = field(default_factory=Context)
    traits: RecipeTraits | None = None

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
        """Return the best items for one query, by descending score.

        `history` is appended to the events that training knows of the user; an event in both counts once.
        A user without any event, or an unknown item, gets popular items. Scores are None where Personalize
        shows none, unless `relevance` asks for them. `allowed`, bool[items], marks the items that may be
        recommended; `bonus`, float64[items], raises scores for a user, by shares of that user's highest
        score. `context` are values of the interactions' metadata columns: items that are met more often with
        them than otherwise score higher for a user.
        """
        if limit <= 0:
            return []
        excluded = [number for text in exclude if (number := self._item(text)) is not None]
        excluded += self._bought(user_id, history)
        if self.scoring.kind == "user":
            factor = self.context.factor(context) if context else None
            ranking = self.user_scorer.rank(user_id, history, excluded, limit, allowed, bonus, factor)
            numbers, scores = ranking or self._popular.best(excluded, limit, allowed, bonus, factor)
        elif self.scoring.kind == "item":
            numbers, scores = self._similar_items(item_id, excluded, limit, allowed)
        else:
            numbers, scores = self._popular.best(excluded, limit, allowed)
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
        """Return those of `item_ids` that the model knows, best first, with scores that sum to 1.

        Unlike in `recommend`, items that the user has seen may be among them.
        """
        known = [number for text in item_ids if (number := self._item(text)) is not None]
        if not known:
            return []
        allowed = np.zeros(len(self.items), bool)
        allowed[known] = True
        factor = self.context.factor(context) if context else None
        ranking = self.user_scorer.rank(
            user_id, history, [], len(known), allowed, factor=factor, only_allowed=True
        )
        numbers, scores = ranking or self._popular.best([], len(known), allowed, factor=factor)
        ids = self.items.strings
        return list(zip([ids[number] for number in numbers], normalized(scores).tolist(), strict=True))

    def popular(self, *, exclude: Collection[str] = (), allowed: Mask | None = None) -> list[str]:
        """Return all items but the excluded ones, the most popular first; `allowed` is bool[items]."""
        excluded = {number for text in exclude if (number := self._item(text)) is not None}
        numbers, _ = self._popular.best([*excluded], len(self.items), allowed)
        ids = self.items.strings
        return [ids[number] for number in numbers.tolist()]

    def recommend_many(
        self,
        queries: Sequence[str] | None = None,
        limit: int = 25,
        allowed: Allowed = None,
        later: LaterEvents | None = None,
        bonus: Bonus | None = None,
    ) -> Iterator[tuple[str, list[str], list[float]]]:
        """Return an iterator of (query, item ids, scores) for many users or items, in their order.

        Scores are computed in blocks of bounded memory. Without queries, all users with an event or all items
        are taken. Every recipe has scores here; `scoring.scored` says whether the wire shows them. `allowed`
        is one bool[items] for all queries, or a function that returns a query's (None allows everything).
        For users, `later` adds their events after training, and `bonus` raises new items, with a random
        factor for each user.
        """
        queries = self._all_queries() if queries is None else queries
        if limit <= 0:
            return ((query, [], []) for query in queries)
        if self.scoring.kind == "user":
            allowed = self._without_bought(allowed) if self.scoring.exclude_bought else allowed
            return self._for_users(queries, limit, allowed, later, bonus)
        return self._by_lookup(queries, limit, allowed)

    def raw_scores(self, users: Numbers) -> Scores:
        """Return the scores of `users`, int64[rows], before they are scaled: float64[rows, items]."""
        return self.user_scorer.raw_scores(users)

    @cached_property
    def user_scorer(self) -> UserScorer:
        """Return what scores items for users."""
        return UserScorer(
            self.scoring, self.users, self.items, self.histories, self.older, self.components, self._prior
        )

    @cached_property
    def _popular(self) -> Popularity:
        return Popularity(self.popularity)

    @cached_property
    def _prior(self) -> Scores:
        """Return the score that is the same for all users, of popularity: float64[items]. It breaks ties."""
        ranks = np.empty(len(self.items))
        ranks[self._popular.order] = np.arange(len(self.items))
        prior: Scores = _TIE * (1 - ranks / max(len(self.items), 1))
        if self.scoring.prior > 0:
            logarithms = np.log1p(self.popularity.astype(np.float64))
            prior += self.scoring.prior * logarithms / max(logarithms.max(initial=0.0), 1.0)
        return prior + self.objective_scores if len(self.objective_scores) else prior

    @cached_property
    def _ranking_influence(self) -> RankingInfluence:
        created_at = self.item_attributes.values("CREATION_TIMESTAMP")
        return RankingInfluence.of(
            self.popularity, self.first_event_times if created_at is None else created_at
        )

    def _bought(self, user_id: str | None, history: Sequence[Event] = ()) -> list[int]:
        """Return the items that the user bought, where the model leaves those out."""
        if not self.scoring.exclude_bought:
            return []
        events = (self._item(item) for item, kind, _ in history if canonical_type(kind) == PURCHASE)
        bought = [number for number in events if number is not None]
        user = None if user_id is None or not self.interactions.available else self.users.find(user_id)
        return bought if user is None else bought + self.interactions.items_with(user, PURCHASE).tolist()

    def _without_bought(self, allowed: Allowed) -> Callable[[str], Mask]:
        """Return the masks of queries without what each user bought."""
        mask_of = mask_of_query(allowed)

        def mask(user_id: str) -> Mask:
            base = mask_of(user_id)
            own = np.ones(len(self.items), bool) if base is None else base.copy()
            own[self._bought(user_id)] = False
            return own

        return mask

    def _item(self, item_id: str) -> int | None:
        return self.items.numbers.get(item_id)

    def _similar_items(
        self, item_id: str | None, excluded: Sequence[int], limit: int, allowed: Mask | None = None
    ) -> Ranking:
        """Return an item's neighbours, then popular items with score 0 to fill the list up."""
        item = None if item_id is None else self._item(item_id)
        if item is None:
            return self._popular.best(excluded, limit, allowed)
        table = self.components[0].table
        assert isinstance(table, Neighbours), "an item's list is a row of a table"
        neighbours, weights = table.row(item)
        if self.influence:
            neighbours, weights = self._ranking_influence.applied(neighbours, weights, self.influence)
        excluded = [*excluded, item]
        kept = ~np.isin(neighbours, excluded)
        if allowed is not None:
            kept &= allowed[neighbours]
        numbers = neighbours[kept][:limit].astype(np.int64)
        scores = weights[kept][:limit].astype(np.float64).round(DECIMALS)
        missing = limit - len(numbers)
        if missing > 0:
            more, _ = self._popular.best([*excluded, *numbers.tolist()], missing, allowed)
            numbers = np.concatenate((numbers, more))
            scores = np.concatenate((scores, np.zeros(len(more))))
        return numbers, scores

    def _by_lookup(
        self, queries: Sequence[str], limit: int, allowed: Allowed
    ) -> Iterator[tuple[str, list[str], list[float]]]:
        """Yield similar or popular items: each is the lookup of a row, so blocks would gain nothing."""
        ids = self.items.strings
        popular = self._popular_by_query(limit, allowed)
        mask_of = mask_of_query(allowed)
        for query in queries:
            if self.scoring.kind == "popular" or self._item(query) is None:
                numbers, scores = popular(query)
            else:
                numbers, scores = self._similar_items(query, [], limit, mask_of(query))
            yield query, [ids[number] for number in numbers.tolist()], scores.tolist()

    def _popular_by_query(
        self, limit: int, allowed: Allowed, bonus: Bonus | None = None
    ) -> Callable[[str], Ranking]:
        """Return a function that gives a query's popular items; computed once where all queries agree."""
        if bonus is not None:
            mask_of = mask_of_query(allowed)
            return lambda query: self._popular.best([], limit, mask_of(query), bonus.sample())
        if callable(allowed):
            return lambda query: self._popular.best([], limit, allowed(query))
        ranking = self._popular.best([], limit, allowed)
        return lambda _: ranking

    def _all_queries(self) -> list[str]:
        """Return every item, or every user with an event; all users where no events are kept."""
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
        later: LaterEvents | None,
        bonus: Bonus | None,
    ) -> Iterator[tuple[str, list[str], list[float]]]:
        ids = self.items.strings
        popular = self._popular_by_query(limit, allowed, bonus)
        for query, ranking in self.user_scorer.rank_many(queries, limit, allowed, later, bonus):
            numbers, scores = popular(query) if ranking is None else ranking
            yield query, [ids[number] for number in numbers.tolist()], scores.tolist()
