"""Experiments of a `resources.yaml`: what differs from the router's is defined and started.

The file is that of `python -m services.engine apply`, which leaves experiments to this command: they belong
to the router, and an API key to one tenant, whose dataset group is named or the only one with experiments.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from shared.api_client import Api
from shared.resource_files import declaration, declared

_ROOT: Final = "/v1/experiments"
_OPEN: Final = ("draft", "running", "paused")
_MEMBERS: Final = ("surface", "traffic", "layer", "unit", "metrics", "design", "trigger_share")
"""Members of a definition beside the variants; the salt is left to the router."""


class _Step(NamedTuple):
    """A change that applying a declared experiment makes."""

    name: str
    text: str
    definition: Mapping[str, Any] | None
    starts: bool
    revision: str
    """The ETag on which the step is based; "0.0" if there is no such experiment."""


def apply(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    """Define and start what a file declares; return the steps, and their text.

    Raise SystemExit for a file that declares no experiments, and for a definition that the router refuses:
    all are checked before the first is changed.
    """
    entries = declared(options.file, options.group, "experiments")
    steps = [step for name, entry in entries.items() for step in _steps(api, name, entry)]
    if not options.plan:
        for step in steps:
            _carry_out(api, step)
    lines = [step.text for step in steps] or ["All experiments are as the file declares."]
    return [step.text for step in steps], "\n".join(lines)


def export(api: Api, options: argparse.Namespace) -> tuple[Any, str]:
    """Return the drafts, running and paused experiments as a declaration, and its text in YAML."""
    listed, _ = api.call("GET", _ROOT)
    experiments = {each["name"]: _entry(each) for each in listed if each["status"] in _OPEN}
    return declaration(options.group, "experiments", experiments)


def _steps(api: Api, name: str, entry: dict[str, Any]) -> Iterator[_Step]:
    runs = bool(entry.pop("running", False))
    definition = {"name": name, **entry}
    existing = api.find(f"{_ROOT}/{name}")
    defined, _ = api.call("POST", f"{_ROOT}?dry_run=1", definition)
    if existing is None:
        text = f"+ experiment {name}" + (", started" if runs else "")
        yield _Step(name, text, definition, runs, '"0.0"')
        return
    current, headers = existing
    if defined["version"] > current["version"]:
        phase = "the same phase" if defined["phase"] == current["phase"] else "a new phase"
        text = f"~ experiment {name}: version {defined['version']}, {phase}" + (", started" if runs else "")
        yield _Step(name, text, definition, runs, headers["etag"])
    elif runs and current["status"] in {"draft", "paused"}:
        yield _Step(name, f"~ experiment {name}: started", None, True, headers["etag"])


def _carry_out(api: Api, step: _Step) -> None:
    headers = {"if-match": step.revision}
    if step.definition is not None:
        _, answered = api.call("POST", _ROOT, step.definition, headers)
        headers = {"if-match": answered["etag"]}
    if step.starts:
        api.call("POST", f"{_ROOT}/{step.name}/start", headers=headers)


def _entry(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the declaration of a version, without members that are null."""
    members = {name: experiment[name] for name in _MEMBERS if experiment[name] is not None}
    if members["design"]["kind"] == "split":
        del members["design"]
    variants = [{k: v for k, v in variant.items() if v is not None} for variant in experiment["variants"]]
    return {**members, "variants": variants, "running": experiment["status"] == "running"}
