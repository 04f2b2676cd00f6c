"""Simulated visitors: they get answers of a running experiment, and click or purchase with known rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from shared.experiments import INTERLEAVED

if TYPE_CHECKING:
    import random

    from shared.api_client import Api

THREADS: Final = 8
TOGETHER: Final = 50
"""Visitors who get their answers before the first of them acts. Arbitrary: they take about a second."""
ITEMS: Final = 6


@dataclass(frozen=True, slots=True)
class Truth:
    """The rates of the control and of the treatment: purchases of a visitor, or clicks on an item.

    The rate of a visitor is that of the variant times an activity with the mean 1, which is drawn from a
    gamma distribution of the shape `activity`: some do much more than others. None: all are alike.
    """

    control: float
    treatment: float
    activity: float | None = None

    def rate(self, variant: str) -> float:
        """Return the mean rate of a variant."""
        return self.treatment if variant == "treatment" else self.control

    def draw_activity(self, rng: random.Random) -> float:
        """Return the activity of a visitor."""
        return 1.0 if self.activity is None else rng.gammavariate(self.activity, 1 / self.activity)


class Answer(NamedTuple):
    """An answer to a visitor: its variant, and its items with the variant that picked each."""

    user: str
    variant: str
    recommendation_id: str
    items: Sequence[tuple[str, str]]


@dataclass(slots=True)
class Sent:
    """The visitors that came, and the events that they sent, by variant; and whom they prefer."""

    visitors: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    shown: Counter[str] = field(default_factory=Counter)
    """Items in the answers to visitors who click."""
    wins: int = 0
    """Visitors with more clicks on items of the treatment."""
    losses: int = 0

    @property
    def count(self) -> int:
        """Return the number of visitors."""
        return self.visitors.total()


class Visitors:
    """Visitors of an experiment, group by group; `sent` is what they did."""

    def __init__(self, api: Api, name: str, truth: Truth, rng: random.Random, *, click: bool) -> None:
        """Let them click the items of their answer, or else purchase."""
        self.sent = Sent()
        self._api = api
        self._name = name
        self._truth = truth
        self._rng = rng
        self._click = click

    def come(self, count: int) -> None:
        """Let more visitors get an answer, and send what they do.

        Raise SystemExit with a sentence if they cannot click because the shop has nothing to recommend.
        """
        first = self.sent.count
        numbers = range(first, first + count)
        with ThreadPoolExecutor(THREADS) as threads:
            for begin in range(0, count, TOGETHER):
                answers = list(threads.map(self._visit, numbers[begin : begin + TOGETHER]))
                # After all visits, because an answer can be looked up a moment after it was given.
                answers = list(threads.map(self._with_picks, answers))
                if self._click and not all(answer.items for answer in answers):
                    message = "Answers have no items: import items and interactions, and train first."
                    raise SystemExit(message)
                events = [event for answer in answers for event in self._act(answer)]
                if events:
                    self._api.call("POST", "/v1/events", events)

    def _visit(self, number: int) -> Answer:
        user = f"{self._name}-{number}"
        path = f"/api/v1/personalize/recommendations/{quote(user)}?num_results={ITEMS}"
        answer, headers = self._api.call("GET", path)
        variant, items = headers.get("x-variant", ""), answer["recommendations"]
        return Answer(
            user, variant, answer["recommendation_id"], [(item["product_id"], variant) for item in items]
        )

    def _with_picks(self, answer: Answer) -> Answer:
        """Return an interleaved answer with the variant that picked each item; another one as it is."""
        if answer.variant != INTERLEAVED:
            return answer
        shown, _ = self._api.call("GET", f"/v1/recommendations/{quote(answer.recommendation_id)}")
        return answer._replace(items=[(item["product_id"], item["picked_by"]) for item in shown["items"]])

    def _act(self, answer: Answer) -> list[dict[str, Any]]:
        """Return the events of a visitor, and count them."""
        self.sent.visitors[answer.variant] += 1
        activity = self._truth.draw_activity(self._rng)
        if not self._click:
            if self._rng.random() >= self._truth.rate(answer.variant) * activity:
                return []
            self.sent.events[answer.variant] += 1
            purchase = {"event_type": "purchase", "item_id": "simulated", "value": 1, "quantity": 1}
            return [purchase | {"user_id": answer.user}]
        clicked = [
            (item_id, variant)
            for item_id, variant in answer.items
            if self._rng.random() < self._truth.rate(variant) * activity
        ]
        clicks = Counter(variant for _, variant in clicked)
        self.sent.shown.update(variant for _, variant in answer.items)
        self.sent.events += clicks
        self.sent.wins += clicks["treatment"] > clicks["control"]
        self.sent.losses += clicks["treatment"] < clicks["control"]
        of_answer = {
            "event_type": "click",
            "user_id": answer.user,
            "recommendation_id": answer.recommendation_id,
        }
        return [of_answer | {"item_id": item_id} for item_id, _ in clicked]
