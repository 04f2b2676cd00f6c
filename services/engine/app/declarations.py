"""`python -m services.engine apply resources.yaml` and `export`: resources as a file.

Both speak the Personalize API with the keys and the endpoint of the environment, so they work from
anywhere, and with Amazon's own service too.
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
    "The endpoint is AWS_ENDPOINT_URL_PERSONALIZE (without it Amazon's own); the keys and the region are "
    "those of the environment."
)


def apply(_: Settings, arguments: list[str]) -> int:
    """Show what is to be done, and do it."""
    parser = argparse.ArgumentParser(
        prog="python -m services.engine apply",
        description="Create and update what a file declares. Nothing that it leaves out is touched. "
        + _ENVIRONMENT,
    )
    parser.add_argument("file", help="the declaration, YAML or JSON; - reads standard input")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--plan", action="store_true", help="show the plan and stop")
    chosen.add_argument("--yes", action="store_true", help="don't ask")
    given = parser.parse_args(arguments)
    try:
        return _apply(given)
    except EndcapError as error:
        sys.stderr.write(f"apply: {error}\n")
        return 1


def export(_: Settings, arguments: list[str]) -> int:
    """Write what exists as such a file."""
    parser = argparse.ArgumentParser(
        prog="python -m services.engine export",
        description="Write what an account holds as a declaration, which `apply` takes. " + _ENVIRONMENT,
    )
    parser.add_argument("--group", help="one dataset group with its schemas alone (default: everything)")
    given = parser.parse_args(arguments)
    try:
        found = PersonalizeAccount().state().declaration
        shown = found.restricted_to(given.group) if given.group else found
    except EndcapError as error:
        sys.stderr.write(f"export: {error}\n")
        return 1
    yaml.safe_dump(shown.to_document(), sys.stdout, sort_keys=False, allow_unicode=True, width=100)
    return 0


def _apply(given: argparse.Namespace) -> int:
    wanted = Declaration.parse(_document(given.file))
    account = PersonalizeAccount()
    steps = plan(wanted, account.state())
    if not steps:
        _say("Everything is as the file asks for.")
        return 0
    for step in steps:
        _say(str(step))
    conflicts = [step for step in steps if step.sign == "conflict"]
    if conflicts:
        raise Permanent(f"{len(conflicts)} of these can't be done (marked !), so nothing is.")
    if given.plan or not (given.yes or _agreed(steps)):
        return 0
    for number, step in enumerate(steps, 1):
        _say(f"[{number}/{len(steps)}] {step}")
        account.take(step, _say)
    _say("Done.")
    return 0


def _document(name: str) -> Any:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        return yaml.safe_load(text)
    except OSError as error:
        raise Permanent(f"The file {name} can't be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Permanent(f"The file {name} is no YAML: {error}") from None


def _agreed(steps: list[Step]) -> bool:
    if not sys.stdin.isatty():
        raise Permanent("There is nobody to ask; say --yes, or --plan to look only.")
    sys.stdout.write(f"Take these {len(steps)} steps? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
