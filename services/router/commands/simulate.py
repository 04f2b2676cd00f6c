"""`python -m services.router simulate`: visitors with a known effect go through the running services.

Each visitor asks for recommendations, gets a variant, and purchases with the probability of that variant, or
clicks each item with the probability of the variant that picked it. The results of the router stand beside
the truth, at the end or after each group of visitors.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import uuid
from typing import Any, Final

from services.router.commands.simulated_visitors import Sent, Truth, Visitors
from services.router.commands.simulation_report import best, finding, report
from shared.api_client import REQUEST_SECONDS, Api, gateway_parser

POLL_SECONDS: Final = 1.0


def simulate(arguments: list[str]) -> int:
    """Run an experiment with invented visitors, and print its results; return the exit code."""
    options = _options(arguments)
    truth = Truth(options.rate, options.rate * (1 + options.effect), options.activity)
    api = Api(options.url, options.key)
    name = f"simulation-{uuid.uuid4().hex[:8]}"
    rng = random.Random(options.seed)  # noqa: S311 - no secret
    _start(api, name, options)
    visitors = Visitors(api, name, truth, rng, click=options.clicks)
    try:
        results = _observe(api, name, visitors, options)
    finally:
        api.call("POST", f"/v1/experiments/{name}/stop")
    sys.stdout.write(report(name, truth, visitors.sent, results))
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    scopes = "scopes read, ingest and admin"
    parser = gateway_parser("python -m services.router simulate", __doc__, scopes=scopes)
    parser.add_argument("--visitors", type=int, default=4_000, help="at the most (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.05, help="rate of the control (%(default)s)")
    parser.add_argument("--effect", type=float, default=0.3, help="relative effect (%(default)s)")
    parser.add_argument("--clicks", action="store_true", help="click items instead of purchasing")
    parser.add_argument(
        "--activity", type=float, help="shape of the gamma distribution of activities; all alike without it"
    )
    parser.add_argument("--strategy", default="popularity", help="what the treatment answers with")
    parser.add_argument("--design", choices=("split", "interleaving", "bandit"), default="split")
    parser.add_argument("--group", type=int, help="visitors after whom to look at the results")
    parser.add_argument("--until-found", action="store_true", help="stop at the first look that finds one")
    parser.add_argument("--minutes", type=float, default=0.0, help="time over which the groups come")
    parser.add_argument(
        "--reward-minutes",
        type=float,
        default=3.0,
        help="time for the reward of a bandit's visitor, in which all events are sent (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--wait", type=float, default=60.0, help="seconds to wait for the counts (%(default)s)"
    )
    options = parser.parse_args(arguments)
    rates = options.rate, options.rate * (1 + options.effect)
    if not all(0 < rate < 1 for rate in rates) or options.visitors < 1:
        parser.error("rate and rate × (1 + effect) are between 0 and 1, and there is at least one visitor")
    if min(options.group or 1, options.activity or 1) <= 0 or options.minutes < 0:
        parser.error("group, activity and minutes are positive")
    options.clicks |= options.design == "interleaving"
    return options


def _start(api: Api, name: str, options: argparse.Namespace) -> None:
    design = {"kind": options.design}
    if options.design == "bandit":
        design |= {"period_minutes": 15, "reward_hours": options.reward_minutes / 60}
    metric = {"name": "conversion", "event": "purchase"}
    if options.clicks:
        metric = {"name": "clicks", "event": "click", "measure": "events"}
    definition = {
        "name": name,
        "surface": "recommendations",
        "variants": [{"name": "control"}, {"name": "treatment", "strategy": options.strategy}],
        "metrics": [metric],
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


def _observe(api: Api, name: str, visitors: Visitors, options: argparse.Namespace) -> Any:
    """Let groups of visitors come, look at the results after each, and return the last ones."""
    began = time.monotonic()
    group = options.group or options.visitors
    while True:
        visitors.come(min(group, options.visitors - visitors.sent.count))
        count = visitors.sent.count
        results = _counted(api, name, visitors.sent, options)
        verdict = finding(results)
        is_last = count >= options.visitors or (options.until_found and verdict in {"better", "worse"})
        if options.group:
            sys.stdout.write(f"{count} visitors: {verdict}{best(results)}\n")
            sys.stdout.flush()
        if is_last:
            return results
        time.sleep(max(0.0, began + options.minutes * 60 * count / options.visitors - time.monotonic()))


def _counted(api: Api, name: str, sent: Sent, options: argparse.Namespace) -> Any:
    """Return the results when all visitors and their events are counted, or after some seconds.

    A bandit counts visitors when the time for their rewards is over.
    """
    seconds = options.wait + (options.reward_minutes * 60 if options.design == "bandit" else 0)
    deadline = time.monotonic() + seconds
    while True:
        results, _ = api.call("GET", f"/v1/experiments/{name}/results?pre_days=0")
        if _is_complete(results, sent) or time.monotonic() > deadline:
            return results
        time.sleep(POLL_SECONDS)


def _is_complete(results: Any, sent: Sent) -> bool:
    """Return whether results count all visitors and events; of a bandit, all visitors."""
    if results.get("bandit"):
        return bool(sum(each["units"] for each in results["bandit"]["variants"]) == sent.count)
    if results.get("preferences"):
        events = sum(each["credit"] for each in results["preferences"][0]["variants"])
    else:
        rows = zip(results["metrics"][0]["variants"], results["units"], strict=True)
        events = sum(round((row["mean"]["value"] or 0) * each["units"]) for row, each in rows)
    visitors = sum(each["units"] for each in results["units"])
    return (visitors, events) == (sent.count, sent.events.total())
