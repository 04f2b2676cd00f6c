"""`python -m services.router off-policy <experiment> <file>`: what a placement would earn, unseen.

It prints estimates from the logged answers of an experiment, by the gateway's API.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from shared.api_client import Api, gateway_parser

if TYPE_CHECKING:
    from services.router.settings import Settings


def run(_settings: Settings, arguments: list[str]) -> int:
    """Print the estimates; return the exit status: 1 if there are none, 2 for a file that is no JSON.

    Raise SystemExit with a sentence for a request that is refused.
    """
    parser = gateway_parser("python -m services.router off-policy", __doc__, scopes="scope admin")
    parser.add_argument("experiment", help="an experiment that runs on the placement")
    parser.add_argument("file", type=Path, help="the definition of the placement as JSON")
    parser.add_argument("--event", default="click", help="the events that count (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        definition = orjson.loads(options.file.read_bytes())
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{options.file}: {error}\n")
        return 2
    path = f"/v1/experiments/{quote(options.experiment)}/off-policy?event={quote(options.event)}"
    result, _ = Api(options.url, options.key).call("POST", path, definition)
    if result["refusal"] is not None:
        sys.stderr.write(f"{result['refusal']}\n")
        return 1
    sys.stdout.write(report(result))
    return 0


def report(result: Any) -> str:
    """Return the estimates as text."""
    lines = [
        f"{result['placement']}: {result['event']} events per answer, from {result['answers']} answers",
        f"{result['experiment']}: {result['effective_answers']:.0f} effective answers",
        f"{result['support']:.0%} of the items are in an answer of some variant",
    ]
    for name in ("logged", "ips", "snips", "dr"):
        estimate = result[name]
        interval = "" if estimate["low"] is None else f"  {estimate['low']:.4f} to {estimate['high']:.4f}"
        lines.append(f"{name:7} {estimate['value']:.4f}{interval}")
    return "\n".join(lines) + "\n"
