"""`python -m services.engine apply resources.yaml` and `export`: the resources of an account as a file.

Both use the Personalize API with the keys and the endpoint of the environment, so they also work on other
hosts, and with Amazon's own service.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from services.engine.domain.declaration import Declaration
from services.engine.domain.planning import plan
from services.engine.domain.steps import Step
from services.engine.store.personalize_account import PersonalizeAccount
from shared.errors import EndcapError, Permanent

if TYPE_CHECKING:
    from services.engine.settings import Settings

_ENVIRONMENT = (
    "The endpoint is AWS_ENDPOINT_URL_PERSONALIZE, or without it that of Amazon; the keys and the region "
    "come from the environment."
)


def apply(_: Settings, arguments: list[str]) -> int:
    """Show the plan of a file, and carry it out after confirmation; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m services.engine apply",
        description="Create and update the resources that a file declares. Others are not changed. "
        + _ENVIRONMENT,
    )
    parser.add_argument("file", help="the declaration in YAML or JSON; - reads standard input")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--plan", action="store_true", help="show the plan and stop")
    chosen.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    options = parser.parse_args(arguments)
    try:
        return _apply(options)
    except EndcapError as error:
        sys.stderr.write(f"apply: {error}\n")
        return 1


def export(_: Settings, arguments: list[str]) -> int:
    """Write the resources of an account as a declaration; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m services.engine export",
        description="Write the resources of an account as a declaration, which `apply` reads. "
        + _ENVIRONMENT,
    )
    parser.add_argument("--group", help="only one dataset group with its schemas (default: everything)")
    options = parser.parse_args(arguments)
    try:
        declaration = PersonalizeAccount().state().declaration
        if options.group:
            declaration = declaration.restricted_to(options.group)
    except EndcapError as error:
        sys.stderr.write(f"export: {error}\n")
        return 1
    yaml.safe_dump(declaration.to_document(), sys.stdout, sort_keys=False, allow_unicode=True, width=100)
    return 0


def _apply(options: argparse.Namespace) -> int:
    target = Declaration.parse(_document(options.file))
    account = PersonalizeAccount()
    steps = plan(target, account.state())
    groups = target.dataset_groups.values()
    if any(group.experiments for group in groups):
        _print("Experiments of the file are left to `python -m services.router experiments apply`.")
    if any(group.schedules for group in groups):
        _print("Schedules of the file are left to `python -m services.trainer schedules apply`.")
    if not steps:
        _print("All resources are as the file declares.")
        return 0
    for step in steps:
        _print(str(step))
    conflicts = [step for step in steps if step.sign == "conflict"]
    if conflicts:
        raise Permanent(f"{len(conflicts)} of these steps are not possible (marked !), so none is taken.")
    if options.plan or not (options.yes or _is_confirmed(steps)):
        return 0
    for number, step in enumerate(steps, 1):
        _print(f"[{number}/{len(steps)}] {step}")
        account.take(step, _print)
    _print("Done.")
    return 0


def _document(name: str) -> Any:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        return yaml.safe_load(text)
    except OSError as error:
        raise Permanent(f"The file {name} can't be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Permanent(f"The file {name} is not valid YAML: {error}") from None


def _is_confirmed(steps: list[Step]) -> bool:
    if not sys.stdin.isatty():
        raise Permanent(
            "Standard input is no terminal to ask for confirmation; use --yes, or --plan to show the plan."
        )
    sys.stdout.write(f"Take these {len(steps)} steps? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
