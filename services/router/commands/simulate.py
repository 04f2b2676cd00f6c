"""`python -m services.router simulate`: visitors with a known effect go through the running services.

Each visitor asks for recommendations, gets a variant, and purchases with the probability of that variant. In
an interleaving experiment visitors click each item with the probability of the variant that picked it. At the
end the results of the router stand beside the truth.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from services.router.commands.simulated_clicks import click, preference_report, preferences
from shared.api_client import REQUEST_SECONDS, Api

THREADS: Final = 8
BATCH: Final = 200
"""Events of a request to the tracker."""
POLL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Truth:
    """Conversion rates of the control and of the treatment."""

    control: float
    treatment: float

    def rate(self, variant: str) -> float:
        """Return the probability that a visitor of a variant purchases."""
        return self.treatment if variant == "treatment" else self.control


def simulate(arguments: list[str]) -> int:
    """Run an experiment with invented visitors, and print its results; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.router simulate", description=__doc__)
    parser.add_argument("--key", required=True, help="an API key with the scopes read, ingest and admin")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the gateway (%(default)s)")
    parser.add_argument("--visitors", type=int, default=4_000)
    parser.add_argument("--rate", type=float, default=0.05, help="conversion of the control (%(default)s)")
    parser.add_argument("--effect", type=float, default=0.3, help="relative effect (%(default)s)")
    parser.add_argument("--strategy", default="popularity", help="what the treatment answers with")
    parser.add_argument("--design", choices=("split", "interleaving", "bandit"), default="split")
    parser.add_argument(
        "--reward-minutes",
        type=float,
        default=3.0,
        help="time for the reward of a bandit's visitor, in which all purchases are sent (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--wait", type=float, default=60.0, help="seconds to wait for the counts (%(default)s)"
    )
    options = parser.parse_args(arguments)
    truth = Truth(options.rate, options.rate * (1 + options.effect))
    if not (0 < truth.control < 1 and 0 < truth.treatment < 1) or options.visitors < 1:
        parser.error("rate and rate × (1 + effect) are between 0 and 1, and there is at least one visitor")
    api = Api(options.url, options.key)
    name = f"simulation-{uuid.uuid4().hex[:8]}"
    rng = random.Random(options.seed)  # noqa: S311 - no secret
    members = {"reward_hours": options.reward_minutes / 60} if options.design == "bandit" else {}
    _start(api, name, options.strategy, {"kind": options.design} | members)
    try:
        if options.design == "interleaving":
            rates = {variant: truth.rate(variant) for variant in ("control", "treatment")}
            clicks = click(api, name, options.visitors, rates, rng)
            results = preferences(api, name, options.visitors, clicks, options.wait)
            sys.stdout.write(preference_report(name, options.visitors, rates, clicks, results))
            return 0
        visits = _visit(api, name, options.visitors)
        purchases = _purchase(api, visits, truth, rng)
        results = _results(api, name, len(visits), sum(purchases.values()), options.wait)
        if options.design == "bandit":
            results = _learnt(api, name, len(visits), options.wait + options.reward_minutes * 60)
    finally:
        api.call("POST", f"/v1/experiments/{name}/stop")
    sys.stdout.write(report(name, truth, visits, purchases, results))
    return 0


def _start(api: Api, name: str, strategy: str, design: dict[str, Any]) -> None:
    event = "click" if design["kind"] == "interleaving" else "purchase"
    definition = {
        "name": name,
        "surface": "recommendations",
        "variants": [{"name": "control"}, {"name": "treatment", "strategy": strategy}],
        "metrics": [{"name": "conversion", "event": event}],
        "design": design,
    }
    api.call("POST", "/v1/experiments", definition)
    api.call("POST", f"/v1/experiments/{name}/start")
    deadline = time.monotonic() + REQUEST_SECONDS
    while name not in api.call("GET", "/api/v1/personalize/status")[0]["experiments"]:
        if time.monotonic() > deadline:
            message = f"The recommender does not know {name} after {REQUEST_SECONDS:g} seconds."
            raise SystemExit(message)
        time.sleep(0.1)


def _visit(api: Api, name: str, count: int) -> dict[str, str]:
    """Return the variant of each visitor, as the answers name it."""

    def visit(number: int) -> tuple[str, str]:
        user = f"{name}-{number}"
        _, headers = api.call("GET", f"/api/v1/personalize/recommendations/{quote(user)}?num_results=5")
        return user, headers.get("x-variant", "")

    with ThreadPoolExecutor(THREADS) as threads:
        return dict(threads.map(visit, range(count)))


def _purchase(api: Api, visits: dict[str, str], truth: Truth, rng: random.Random) -> dict[str, int]:
    """Send the purchases of visitors; return their number by variant."""
    counts: dict[str, int] = {}
    events = []
    for user, variant in visits.items():
        if rng.random() < truth.rate(variant):
            counts[variant] = counts.get(variant, 0) + 1
            events.append(
                {"event_type": "purchase", "user_id": user, "item_id": "simulated", "value": 1, "quantity": 1}
            )
    for begin in range(0, len(events), BATCH):
        api.call("POST", "/v1/events", events[begin : begin + BATCH])
    return counts


def _results(api: Api, name: str, visitors: int, purchases: int, seconds: float) -> Any:
    """Return the results when all visitors and purchases are counted, or after some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        results, _ = api.call("GET", f"/v1/experiments/{name}/results?pre_days=0")
        units = sum(each["units"] for each in results["units"])
        conversions = sum(
            round((row["mean"]["value"] or 0) * each["units"])
            for row, each in zip(results["metrics"][0]["variants"], results["units"], strict=True)
        )
        if (units, conversions) == (visitors, purchases) or time.monotonic() > deadline:
            return results
        time.sleep(POLL_SECONDS)


def _learnt(api: Api, name: str, visitors: int, seconds: float) -> Any:
    """Return the results of a bandit when the time for the rewards of all visitors is over."""
    deadline = time.monotonic() + seconds
    while True:
        results, _ = api.call("GET", f"/v1/experiments/{name}/results?pre_days=0")
        judged = sum(each["units"] for each in results["bandit"]["variants"])
        if judged == visitors or time.monotonic() > deadline:
            return results
        time.sleep(POLL_SECONDS)


def report(name: str, truth: Truth, visits: dict[str, str], purchases: dict[str, int], results: Any) -> str:
    """Return the truth and the results as a table of text."""
    lines = [f"{name}: {len(visits)} visitors", "variant      sent  counted  bought  rate     true"]
    rows = results["metrics"][0]["variants"]
    for row, units in zip(rows, results["units"], strict=True):
        variant = row["variant"]
        sent = sum(each == variant for each in visits.values())
        lines.append(
            f"{variant:10} {sent:6} {units['units']:8} {purchases.get(variant, 0):7}  "
            f"{row['mean']['value'] or 0:.4f}   {truth.rate(variant):.4f}"
        )
    comparison = rows[1]["comparison"]
    true_effect = truth.treatment / truth.control - 1
    relative, look = comparison["relative"], comparison["one_look"]["relative"]
    lines += [
        f"relative effect: true {true_effect:+.1%}, estimated {_percent(relative['value'])}",
        f"  95 % at any look: {_percent(relative['low'])} to {_percent(relative['high'])}",
        f"  finding: {comparison['verdict']}",
        f"  95 % at one look: {_percent(look['low'])} to {_percent(look['high'])}",
        f"sample ratio p: {results['health']['sample_ratio_p']}",
        *results["health"]["problems"],
        *(
            f"bandit: {each['variant']} is the best with a probability of {each['best']:.1%}"
            for each in (results.get("bandit") or {}).get("variants", ())
        ),
    ]
    return "\n".join(lines) + "\n"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:+.1%}"
