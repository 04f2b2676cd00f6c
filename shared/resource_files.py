"""The file `resources.yaml`: the members of a dataset group that a service's own command applies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml


def declared(file: str, group: str | None, member: str) -> dict[str, dict[str, Any]]:
    """Return the declarations of a member, such as experiments, by name; `-` is standard input.

    Without a `group` those of the only dataset group that has some. Raise SystemExit for a file that declares
    none, or is no declaration of resources.
    """
    try:
        document = yaml.safe_load(sys.stdin.read() if file == "-" else Path(file).read_text())
        groups = {
            name: members[member]
            for name, members in document["datasetGroups"].items()
            if members and members.get(member)
        }
        entries = {name: dict(entry) for name, entry in groups.get(group or "", {}).items()}
        if group is None and len(groups) == 1:
            entries = {name: dict(entry) for name, entry in next(iter(groups.values())).items()}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"{file} is no declaration of resources: {error}"
        raise SystemExit(message) from None
    if not entries:
        names = ", ".join(groups) or "none"
        message = f"Name a dataset group with {member} by --group; in {file} there are: {names}."
        raise SystemExit(message)
    return entries


def declaration(group: str | None, member: str, entries: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the declaration of entries of a dataset group (`default` without one), and its text in YAML."""
    document = {"version": 1, "datasetGroups": {group or "default": {member: entries}}}
    return document, yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100).rstrip()
