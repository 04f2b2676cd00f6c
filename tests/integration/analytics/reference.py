"""The figures that follow from a set of answers and events, counted without any order, state or SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from services.analytics.domain.figures import COUNTS
from shared.events import InteractionRecorded
from shared.events.servings import Serving

CLICKS = {"click", "view", "add_to_cart", "wishlist"}
Figures = dict[tuple[Any, ...], dict[str, Decimal]]


class Sale(NamedTuple):
    """A purchased line of a person."""

    event_id: str
    user: str | None
    session: str | None
    item: str
    order: str
    at: datetime
    units: Decimal
    revenue: Decimal
    answer: str | None


def hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def number(value: float | None, default: str) -> Decimal:
    return Decimal(default) if value is None else Decimal(str(value))


def sales(events: Iterable[InteractionRecorded]) -> list[Sale]:
    """The purchases: a line of an order wins over a claim under its id, and takes from it what it lacks."""
    claims: dict[str, InteractionRecorded] = {}
    lines: dict[str, InteractionRecorded] = {}
    for event in events:
        if event.event_type == "purchase" and event.item_id:
            (lines if event.source == "order" else claims)[event.event_id] = event
    result = []
    for event_id in claims.keys() | lines.keys():
        claim, line = claims.get(event_id), lines.get(event_id)
        main = line or claim
        assert main is not None
        price, answer, session, user = main.price, main.recommendation_id, main.session_id, main.user_id
        agrees = claim and line and claim.price == line.price and claim.user_id in {None, line.user_id}
        if agrees:
            answer, session = claim.recommendation_id, claim.session_id or session
        units = number(main.quantity, "1")
        revenue = units * number(price, "0")
        order = main.order_id or event_id
        result.append(
            Sale(event_id, user, session, main.item_id, order, main.occurred_at, units, revenue, answer)
        )
    return result


class Persons:
    """The person of an event: its user, else its session and the users who logged in to it."""

    def __init__(self, pairs: Iterable[tuple[str | None, str | None]]) -> None:
        self.users: dict[str, set[str]] = defaultdict(set)
        for user, session in pairs:
            if user and session:
                self.users[session].add(user)

    def names(self, user: str | None, session: str | None) -> set[tuple[str, str]]:
        if user:
            return {("user", user)}
        return {("session", session or "")} | {("user", each) for each in self.users[session or ""]}


def attributed(
    sale: Sale,
    persons: Persons,
    events: Sequence[InteractionRecorded],
    answers: dict[str, Serving],
    window: timedelta,
) -> tuple[str, int] | None:
    """The answer and position of the last touch of the item by the same person within the window."""
    touches = [
        (event.occurred_at, 0, event.event_id, event.recommendation_id, event.user_id, event.session_id)
        for event in events
        if event.event_type in CLICKS and event.item_id == sale.item
    ]
    touches.append((sale.at, 1, sale.event_id, sale.answer, sale.user, sale.session))
    mine = persons.names(sale.user, sale.session)
    valid = [
        touch
        for touch in touches
        if touch[3] in answers
        and sale.item in answers[touch[3]].item_ids
        and touch[0] - answers[touch[3]].served_at <= window
        and sale.at - window <= touch[0] <= sale.at
        and mine & persons.names(touch[4], touch[5])
    ]
    if not valid:
        return None
    answer = answers[max(valid)[3] or ""]
    return answer.recommendation_id, answer.item_ids.index(sale.item)


def expected(
    servings: Iterable[Serving], events: Sequence[InteractionRecorded], window: timedelta
) -> tuple[Figures, dict[tuple[datetime, str], Decimal]]:
    """Figures by (hour, placement, strategy, variant), and measures by (hour, name)."""
    answers = {each.recommendation_id: each for each in servings}
    events = list({(event.event_id, event.source): event for event in events}.values())
    figures: Figures = defaultdict(lambda: dict.fromkeys(COUNTS, Decimal(0)))
    measures: dict[tuple[datetime, str], Decimal] = defaultdict(Decimal)
    sold = sales(events)
    pairs = [(event.user_id, event.session_id) for event in events]
    persons = Persons([*pairs, *((sale.user, sale.session) for sale in sold)])
    targets = {sale: attributed(sale, persons, events, answers, window) for sale in sold}
    clicked, seen = marked(events, answers, window)
    for answer in answers.values():
        converted = {
            target[1] for target in targets.values() if target and target[0] == answer.recommendation_id
        }
        count_answer(
            figures, answer, seen[answer.recommendation_id], clicked[answer.recommendation_id], converted
        )
        measures[hour(answer.served_at), f"answers:{answer.source}"] += 1
    for sale, target in targets.items():
        amounts = {"purchases": Decimal(1), "units": sale.units, "revenue": sale.revenue}
        for name, amount in amounts.items():
            measures[hour(sale.at), name] += amount
        if target is not None:
            answer = answers[target[0]]
            for strategy in (None, answer.strategies[target[1]]):
                for name, amount in amounts.items():
                    figures[hour(sale.at), answer.placement, strategy, answer.variant][name] += amount
    for order in {sale.order for sale in sold}:
        measures[hour(min(sale.at for sale in sold if sale.order == order)), "orders"] += 1
    by_id = {event.event_id: event for event in events}
    for event_id, event in by_id.items():
        assert event_id
        if event.event_type != "purchase":
            measures[hour(event.occurred_at), f"events:{event.event_type}"] += 1
    return {key: value for key, value in figures.items() if any(value.values())}, dict(measures)


def marked(
    events: Iterable[InteractionRecorded], answers: dict[str, Serving], window: timedelta
) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """The positions of clicked and of seen items by answer."""
    clicked: dict[str, set[int]] = defaultdict(set)
    seen: dict[str, set[int]] = defaultdict(set)
    for event in events:
        answer = answers.get(event.recommendation_id or "")
        if answer is None or event.occurred_at - answer.served_at > window:
            continue
        shown = set(event.impression or ())
        if event.event_type == "impression":
            shown.add(event.item_id or "")
        if event.event_type in {*CLICKS, "purchase"} and event.item_id in answer.item_ids:
            clicked[answer.recommendation_id].add(answer.item_ids.index(event.item_id))
        seen[answer.recommendation_id] |= {
            answer.item_ids.index(item) for item in shown & set(answer.item_ids)
        }
    for key, positions in clicked.items():
        seen[key] |= positions
    return clicked, seen


def count_answer(
    figures: Figures, answer: Serving, seen: set[int], clicked: set[int], converted: set[int]
) -> None:
    for strategy in (None, *sorted(set(answer.strategies))):
        positions = {
            position
            for position, each in enumerate(answer.strategies)
            if strategy is None or each == strategy
        }
        row = figures[hour(answer.served_at), answer.placement, strategy, answer.variant]
        row["answers"] += 1
        row["items"] += len(positions)
        row["empty_answers"] += not answer.item_ids
        row["fallback_answers"] += answer.source == "popular"
        row["seen_answers"] += bool(seen & positions)
        row["impressions"] += len(seen & positions)
        row["clicked_answers"] += bool(clicked & positions)
        row["clicks"] += len(clicked & positions)
        row["conversions"] += len(converted & positions)
