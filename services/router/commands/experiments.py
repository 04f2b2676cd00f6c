"""`python -m services.router experiments <what>`: experiments from a shell, by the gateway's API.

Each change is one request with the key of whoever runs it, so the log of the experiment names the author.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from services.router.commands import declared_experiments
from shared.api_client import Api, Cells, Commands, Run, table

if TYPE_CHECKING:
    from services.router.settings import Settings

_ROOT: Final = "/v1/experiments"
_STATE_CHANGES: Final = ("start", "pause", "stop", "archive")
_SWITCHES: Final = ("disable", "enable")


def run(_: Settings, arguments: list[str]) -> int:
    """Carry out a command of the arguments; return the exit status.

    Raise SystemExit with a sentence for a request that is refused.
    """
    return _commands().run(arguments)


def _commands() -> Commands:
    commands = Commands("python -m services.router experiments", __doc__)

    def command(name: str, help_: str, run_command: Run) -> argparse.ArgumentParser:
        """Add a command about one experiment."""
        added = commands.add(name, help_, run_command)
        added.add_argument("name", help="the name of the experiment")
        return added

    commands.add("list", "list the newest versions", _list)
    command("show", "print a version with its counts", _show)
    create = commands.add("create", "define an experiment, or a new version of it", _create)
    create.add_argument("file", help="the definition as JSON, as POST /v1/experiments takes it; - for stdin")
    create.add_argument("--start", action="store_true", help="start the version")
    _add_revision(create)
    commands.add_declarations(
        ("define and start what a resources.yaml declares", declared_experiments.apply),
        ("print the experiments as such a file", declared_experiments.export),
    )
    for change in _STATE_CHANGES:
        added = command(change, f"{change} the experiment", _change)
        added.set_defaults(change=change)
        _add_revision(added)
    decide = command("decide", "end the experiment with a decision", _decide)
    decide.add_argument("--variant", help="the variant that is kept; none without it")
    decide.add_argument("--reason", required=True)
    _add_revision(decide)
    for switch in _SWITCHES:
        added = command(switch, f"{switch} a variant", _switch)
        added.add_argument("variant")
        added.set_defaults(change=switch)
        _add_revision(added)
    force = command("force", "set the units that get a variant for tests, instead of all before", _force)
    force.add_argument("units", nargs="*", metavar="unit=variant")
    _add_revision(force)
    results = command("results", "print the metrics with intervals that hold at any look", _results)
    results.add_argument("--pre-days", type=int, help="days before the exposure that adjust the metrics")
    split = command("split", "assign units without recording anything", _split)
    split.add_argument("--sample", type=int, default=100_000, help="number of invented units (%(default)s)")
    split.add_argument("--unit", action="append", default=[], help="a unit whose variant to print")
    command("changes", "print the log", _changes)
    _add_revision(command("delete", "delete the drafts", _delete))
    return commands


def _add_revision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--if-match", help='the ETag on which the change is based, such as "2.5"; another one is refused'
    )


def _list(api: Api, _options: argparse.Namespace) -> tuple[Any, str]:
    document, _ = api.call("GET", _ROOT)
    rows = [(each["name"], each["version"], each["status"], each["surface"]) for each in document]
    return document, table(("name", "version", "status", "surface"), rows)


def _show(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    document, headers = api.call("GET", f"{_ROOT}/{options.name}")
    rows = [
        (each["name"], f"{each['weight']:g}", each["strategy"] or "as usual", each["exposed"])
        for each in document["variants"]
    ]
    return document, f"{_state(document, headers)}\n{table(('variant', 'weight', 'answers', 'units'), rows)}"


def _create(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    try:
        text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text()
        definition = orjson.loads(text)
        name = definition["name"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SystemExit(f"{options.file} is no definition of an experiment: {error!r}") from None
    document, headers = api.call("POST", _ROOT, definition, _revision(options))
    if options.start:
        # Nobody else may have changed it in between.
        document, headers = api.call(
            "POST", f"{_ROOT}/{name}/start", headers={"if-match": headers.get("etag", "*")}
        )
    return document, _state(document, headers)


def _change(api: Api, options: argparse.Namespace, path: str | None = None, body: Any = None) -> Any:
    target = f"{_ROOT}/{options.name}/{path or options.change}"
    document, headers = api.call("POST", target, body, _revision(options))
    return document, _state(document, headers)


def _decide(api: Api, options: argparse.Namespace) -> Any:
    return _change(api, options, "decide", {"variant": options.variant, "reason": options.reason})


def _switch(api: Api, options: argparse.Namespace) -> Any:
    return _change(api, options, f"variants/{options.variant}/{options.change}")


def _force(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    units = dict(each.rpartition("=")[::2] for each in options.units)
    if "" in units:
        raise SystemExit("Name forced units as unit=variant, such as me=affinity.")
    body = {"units": units}
    document, headers = api.call("PUT", f"{_ROOT}/{options.name}/forced", body, _revision(options))
    return document, _state(document, headers)


def _results(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    query = "" if options.pre_days is None else f"?pre_days={options.pre_days}"
    document, _ = api.call("GET", f"{_ROOT}/{options.name}/results{query}")
    return document, report(document)


def _split(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    body = {"sample": options.sample, "units": options.unit}
    document, _ = api.call("POST", f"{_ROOT}/{options.name}/split", body)
    rows = [*document["variants"].items(), ("held out", document["held_out"]), ("none", document["outside"])]
    text = table(("variant", "units"), rows)
    if document["units"]:
        text += "\n" + table(("unit", "variant"), [(u, v or "none") for u, v in document["units"].items()])
    return document, text


def _changes(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    document, _ = api.call("GET", f"{_ROOT}/{options.name}/changes")
    rows = [
        (each["at"][:19], each["change"], each["version"], each["actor"], each["details"].get("reason", ""))
        for each in document
    ]
    return document, table(("time", "change", "version", "by", "reason"), rows)


def _delete(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    api.call("DELETE", f"{_ROOT}/{options.name}", headers=_revision(options))
    return None, f"The drafts of {options.name} are deleted."


def _revision(options: argparse.Namespace) -> dict[str, str]:
    return {} if options.if_match is None else {"if-match": options.if_match}


def _state(document: Any, headers: dict[str, str]) -> str:
    return f"{document['name']} version {document['version']}: {document['status']}, ETag {headers['etag']}"


def report(results: Any) -> str:
    """Return the metrics of results as text: each variant beside the first one."""
    lines = [
        f"{results['name']}, phase {results['phase']}: "
        + ", ".join(f"{each['variant']} {each['units']} people" for each in results["units"])
    ]
    lines += [f"PROBLEM: {each}" for each in results["health"]["problems"]]
    head = ("metric", "variant", "mean", "change", "95 % at any look", "p", "finding")
    lines.append(table(head, _metric_rows(results["metrics"])))
    triggered = results.get("triggered")
    if triggered is not None:
        people = ", ".join(f"{each['variant']} {each['units']}" for each in triggered["units"])
        lines += [
            f"People whose answers differ: {people}",
            table(head, _metric_rows(triggered["metrics"])),
        ]
    return "\n".join(lines)


def _metric_rows(metrics: Any) -> list[Cells]:
    rows: list[Cells] = []
    for metric in metrics:
        for each in metric["variants"]:
            comparison = each["comparison"]
            cells: list[object] = [metric["metric"]["name"], each["variant"], _number(each["mean"]["value"])]
            if comparison is not None:
                relative = comparison["relative"]
                cells += [
                    _percent(relative["value"]),
                    f"{_percent(relative['low'])} to {_percent(relative['high'])}",
                    _number(comparison["adjusted_p"]),
                    comparison["verdict"],
                ]
            rows.append(cells)
    return rows


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:+.1%}"
