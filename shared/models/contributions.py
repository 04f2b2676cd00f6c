"""The events of a user that the scores of items come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shared.models.histories import Histories, WeightedEvents
from shared.models.neighbours import Neighbours
from shared.models.scoring import Numbers, Scores

if TYPE_CHECKING:
    from shared.models.components import ScoringComponent
    from shared.models.model import Model
    from shared.models.user_scorer import Event, UserScorer

MIN_SHARE = 0.05
"""A smaller share of a score is not named. Arbitrary."""
MAX_EVENTS = 30
"""The newest events of which contributions are computed. Arbitrary."""


class Reason(NamedTuple):
    """A share of an item's score, 0 … 1, and the item of the events that it comes from, with their types.

    `item_id` is None for popularity.
    """

    item_id: str | None
    share: float
    event_types: frozenset[str] = frozenset()


def reasons(
    model: Model, user_id: str | None, history: Sequence[Event], item_ids: Sequence[str], most: int = 3
) -> dict[str, list[Reason]]:
    """Return why a user's scores of items are what they are: up to `most` reasons each, the largest first.

    Items that the model does not know are left out, and so is everybody for a user without events. Only
    positive parts of a score count. The score of a table of nearest profiles is no sum over events; there the
    events' own scores stand in.
    """
    number_of = model.items.numbers
    known = [item_id for item_id in item_ids if item_id in number_of]
    if model.scoring.kind != "user" or not known:
        return {}
    numbers, scorer = np.array([number_of[item_id] for item_id in known]), model.user_scorer
    user = None if user_id is None else scorer.users.find(user_id)
    stored = scorer.merged_events(user, history)
    weighted = scorer.weighted_events(stored, np.array([-1 if user is None else user]))
    if len(weighted.users) == 0:
        return {}
    parts = np.maximum(_by_event(scorer, weighted, numbers), 0.0)
    event_items, groups = np.unique(weighted.items[-len(parts) :], return_inverse=True)
    by_item = np.zeros((len(event_items), len(numbers)))
    np.add.at(by_item, groups, parts)
    candidates = [(model.items.strings[item], _types(scorer, stored, item)) for item in event_items.tolist()]
    parts = np.vstack((by_item, np.maximum(scorer.prior[numbers], 0.0)))
    shares = parts / np.maximum(parts.sum(axis=0), np.finfo(float).tiny)
    return {
        item_id: _largest([*candidates, (None, frozenset())], shares[:, column].tolist(), most)
        for column, item_id in enumerate(known)
    }


def _largest(
    candidates: Sequence[tuple[str | None, frozenset[str]]], shares: Sequence[float], most: int
) -> list[Reason]:
    rows = [
        Reason(item_id, share, types)
        for (item_id, types), share in zip(candidates, shares, strict=True)
        if share >= MIN_SHARE
    ]
    rows.sort(key=lambda reason: -reason.share)
    return rows[:most]


def _types(scorer: UserScorer, stored: Histories, item: int) -> frozenset[str]:
    """Return the types of the user's events with an item that count."""
    numbers = set(stored.types[stored.items == item].tolist())
    scoring = scorer.scoring
    return frozenset(scoring.event_types[number] for number in numbers if scoring.type_weights[number] > 0)


def _by_event(scorer: UserScorer, weighted: WeightedEvents, numbers: Numbers) -> Scores:
    """Return what each of the newest events adds to the scores of items: float64[events, items]."""
    parts = np.zeros((min(len(weighted.users), MAX_EVENTS), len(numbers)))
    position = np.full(len(scorer.items), -1)
    position[numbers] = np.arange(len(numbers))
    for component in scorer.components:
        shares = weighted.shares(component.decay, component.unit) * component.weight
        newest = range(len(shares) - len(parts), len(shares))
        for row, event in enumerate(newest):
            _add_event(component, weighted, event, shares, position, numbers, parts[row])
    return parts


def _add_event(
    component: ScoringComponent,
    weighted: WeightedEvents,
    event: int,
    shares: Scores,
    position: Numbers,
    numbers: Numbers,
    scores: Scores,
) -> None:
    """Add what a component makes of one event to `scores`, float64[items]."""
    if isinstance(component.table, Neighbours):
        neighbours, weights = component.table.row(int(weighted.items[event]))
        places = position[neighbours]
        np.add.at(scores, places[places >= 0], shares[event] * weights[places >= 0])
        return
    row = slice(event, event + 1)
    alone = WeightedEvents(
        np.zeros(1, np.int64), weighted.items[row], weighted.times[row], weighted.weights[row]
    )
    everything = np.zeros((1, len(position)))
    component.table.add(everything, alone, shares[row])
    scores += everything[0, numbers]
