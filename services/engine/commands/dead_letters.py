"""`python -m services.engine dead-letters <what>`: dead letters from a shell, by the gateway's API."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import orjson

from shared.api_client import Api, table

if TYPE_CHECKING:
    from services.engine.settings import Settings

_ROOT: Final = "/v1/dead-letters"


def command(_: Settings, arguments: list[str]) -> int:
    """List, show or replay letters; return the exit status.

    Raise SystemExit with a sentence for a request that is refused.
    """
    options = _parser().parse_args(arguments)
    sys.stdout.write(f"{options.run(Api(options.url, options.key), options)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.engine dead-letters", description=__doc__)
    parser.add_argument("--key", required=True, help="an API key with the scope admin")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the gateway (%(default)s)")
    commands = parser.add_subparsers(required=True, metavar="what")

    listing = commands.add_parser("list", help="list the newest letters")
    listing.add_argument("--topic", help="the topic of the records, such as orders-v1")
    listing.add_argument("--consumer", help="the service that could not handle them")
    listing.add_argument("--limit", type=int, default=50, help="default: %(default)s")
    listing.set_defaults(run=_list)

    showing = commands.add_parser("show", help="print a letter as JSON, or its record alone")
    showing.add_argument("id")
    showing.add_argument("--value", action="store_true", help="print the record alone, to mend it in a file")
    showing.set_defaults(run=_show)

    replaying = commands.add_parser("replay", help="publish a record to its topic again")
    replaying.add_argument("id")
    replaying.add_argument("--value", metavar="FILE", type=Path, help="a file with the mended record")
    replaying.set_defaults(run=_replay)
    return parser


def _list(api: Api, options: argparse.Namespace) -> str:
    query = {"limit": options.limit, "topic": options.topic, "consumer": options.consumer}
    query = {name: value for name, value in query.items() if value is not None}
    answer, _ = api.call("GET", f"{_ROOT}?{urlencode(query)}")
    rows = [
        (each["id"], each["consumer"], each["error"], each["failed_at"], each["replayed_at"] or "")
        for each in answer["dead_letters"]
    ]
    return table(("id", "consumer", "error", "failed", "replayed"), rows)


def _show(api: Api, options: argparse.Namespace) -> str:
    letter, _ = api.call("GET", _path(options.id))
    return str(letter["value"]) if options.value else _json(letter)


def _replay(api: Api, options: argparse.Namespace) -> str:
    mended = None if options.value is None else {"value": options.value.read_text()}
    answer, _ = api.call("POST", f"{_path(options.id)}/replay", mended)
    return _json(answer)


def _path(identifier: str) -> str:
    return f"{_ROOT}/{quote(identifier, safe='')}"


def _json(document: Any) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
