"""`python -m services.trainer schedules <what>`: schedules from a shell, by the gateway's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shared.api_client import Commands, table
from shared.resource_files import declaration, declared

if TYPE_CHECKING:
    import argparse

    from services.trainer.settings import Settings
    from shared.api_client import Api

_ROOT: Final = "/v1/schedules"
_OPTIONS: Final = ("vip_share", "vip_window_days", "max_minutes")
_DEFAULTS: Final = {
    "cron": None,
    "timezone": "UTC",
    "enabled": True,
    "kind": "full",
    **dict.fromkeys(_OPTIONS),
}
"""Members of a definition; one that a declaration leaves out has this value."""


def run(_: Settings, arguments: list[str]) -> int:
    """Carry out a command of the arguments; return the exit status.

    Raise SystemExit with a sentence for a request that is refused.
    """
    return _commands().run(arguments)


def _commands() -> Commands:
    commands = Commands("python -m services.trainer schedules", __doc__)
    commands.add("list", "list the schedules with their times", _list)
    put = commands.add("put", "add a schedule, or change the one of this name", _put)
    put.add_argument("name")
    put.add_argument("cron", help='minute, hour, day, month and weekday, such as "0 2 * * *"')
    put.add_argument("--timezone", default="UTC", help="in which the times are meant (%(default)s)")
    put.add_argument("--kind", default="full", help="full, vip or incremental (%(default)s)")
    put.add_argument(
        "--vip-share", type=float, help="customers whose lists a VIP run renews, 0.1 for a tenth"
    )
    put.add_argument("--vip-window-days", type=int, help="days in which their spending counts")
    put.add_argument("--max-minutes", type=float, help="stop a run that takes longer")
    put.add_argument("--disabled", action="store_true", help="keep it without running it")
    commands.add("delete", "delete a schedule", _delete).add_argument("name")
    commands.add_declarations(
        ("add and change what a resources.yaml declares", _apply),
        ("print the schedules as such a file", _export),
    )
    return commands


def _list(api: Api, _options: argparse.Namespace) -> tuple[Any, str]:
    document, _ = api.call("GET", _ROOT)
    head = ("name", "kind", "cron", "time zone", "next", "last", "run")
    rows = [
        (
            each["name"],
            each["kind"],
            each["cron"],
            each["timezone"],
            each["next_due"] or "disabled",
            each["last_due"] or "-",
            each["last_run"] or "-",
        )
        for each in document["schedules"]
    ]
    return document, table(head, rows)


def _put(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    definition = {
        "cron": options.cron,
        "timezone": options.timezone,
        "kind": options.kind,
        "enabled": not options.disabled,
        **{name: getattr(options, name) for name in _OPTIONS},
    }
    document, _ = api.call("PUT", f"{_ROOT}/{options.name}", definition)
    return document, f"{options.name} is due next at {document['next_due'] or 'no time: it is disabled'}."


def _delete(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    api.call("DELETE", f"{_ROOT}/{options.name}")
    return None, f"The schedule {options.name} is deleted."


def _apply(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    """Put the declared schedules that differ; return the steps, and their text."""
    document, _ = api.call("GET", _ROOT)
    existing = {
        each["name"]: _definition(each) for each in document["schedules"] if not each["from_settings"]
    }
    steps = []
    for name, entry in declared(options.file, options.group, "schedules").items():
        if existing.get(name) == _DEFAULTS | entry:
            continue
        steps.append(f"{'~' if name in existing else '+'} schedule {name}: {entry.get('cron')}")
        if not options.plan:
            api.call("PUT", f"{_ROOT}/{name}", entry)
    return steps, "\n".join(steps or ["All schedules are as the file declares."])


def _export(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    """Return the schedules as a declaration, without that of the settings, and its text in YAML."""
    document, _ = api.call("GET", _ROOT)
    entries = {
        each["name"]: {name: value for name, value in _definition(each).items() if value is not None}
        for each in document["schedules"]
        if not each["from_settings"]
    }
    return declaration(options.group, "schedules", entries)


def _definition(schedule: dict[str, Any]) -> dict[str, Any]:
    return {name: schedule[name] for name in _DEFAULTS}
