"""Simulated visitors of an interleaving experiment: they click items with the rate of who picked them."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from shared.api_client import Api

THREADS: Final = 8
BATCH: Final = 200
"""Events of a request to the tracker."""
ITEMS: Final = 6
POLL_SECONDS: Final = 1.0


class Clicks(NamedTuple):
    """The clicks of all visitors by the variant that picked the item, and whom the visitors prefer."""

    by_variant: Counter[str]
    wins: int
    losses: int


def click(api: Api, name: str, visitors: int, rates: dict[str, float], rng: random.Random) -> Clicks:
    """Let visitors get an interleaved answer, and click each item with the rate of its variant.

    Raise SystemExit with a sentence if the shop has nothing to recommend.
    """

    def visit(number: int) -> tuple[str, str, list[dict[str, Any]]]:
        user = f"{name}-{number}"
        answer, _ = api.call("GET", f"/api/v1/personalize/recommendations/{quote(user)}?num_results={ITEMS}")
        id_ = answer["recommendation_id"]
        shown, _ = api.call("GET", f"/v1/recommendations/{quote(id_)}")
        return user, id_, shown["items"]

    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(visit, range(visitors)))
    if not all(items for _, _, items in answers):
        message = "Answers have no items: import items and interactions, and train first."
        raise SystemExit(message)
    by_variant, wins, losses = Counter[str](), 0, 0
    events = []
    for user, id_, items in answers:
        clicked = [item for item in items if rng.random() < rates[item["picked_by"]]]
        of_variant = Counter(item["picked_by"] for item in clicked)
        by_variant += of_variant
        wins += of_variant["treatment"] > of_variant["control"]
        losses += of_variant["treatment"] < of_variant["control"]
        events += [
            {
                "event_type": "click",
                "user_id": user,
                "item_id": item["product_id"],
                "recommendation_id": id_,
            }
            for item in clicked
        ]
    for begin in range(0, len(events), BATCH):
        api.call("POST", "/v1/events", events[begin : begin + BATCH])
    return Clicks(by_variant, wins, losses)


def preferences(api: Api, name: str, visitors: int, clicks: Clicks, seconds: float) -> Any:
    """Return the results when all visitors and clicks are counted, or after some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        results, _ = api.call("GET", f"/v1/experiments/{name}/results")
        credit = {each["variant"]: each["credit"] for each in results["preferences"][0]["variants"]}
        is_complete = results["units"][0]["units"] == visitors and all(
            credit.get(variant, 0) == count for variant, count in clicks.by_variant.items()
        )
        if is_complete or time.monotonic() > deadline:
            return results
        time.sleep(POLL_SECONDS)


def preference_report(name: str, visitors: int, rates: dict[str, float], clicks: Clicks, results: Any) -> str:
    """Return the truth and the results as text."""
    rows = results["preferences"][0]["variants"]
    lines = [f"{name}: {visitors} visitors, {ITEMS} items each", "variant      clicks  credited  true rate"]
    lines += [
        f"{row['variant']:10} {clicks.by_variant[row['variant']]:8} {row['credit']:9.0f}  "
        f"{rates[row['variant']]:.4f}"
        for row in rows
    ]
    preference = rows[1]["comparison"]
    lines += [
        f"prefer the treatment: sent {clicks.wins}, counted {preference['wins']}",
        f"prefer the control: sent {clicks.losses}, counted {preference['losses']}",
        f"  p at any look: {_p(preference['p'])}; at one look: {_p(preference['one_look_p'])}",
        f"  finding: {preference['verdict']}",
    ]
    return "\n".join(lines) + "\n"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
