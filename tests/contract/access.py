"""Every route and operation of the services, and the page that says which scope each needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

from deploy.local.ports import SERVICES
from services.engine.personalize.operations import TABLE
from shared.aws_server import JsonServices, Operation
from tests.contract.documents import ROOT

PAGE = ROOT / "docs" / "security.md"
OPEN = "none"
"""The scope of a route that needs no credentials."""

_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Route:
    """A route; `operation` is named by the header X-Amz-Target where several share one path."""

    service: str
    method: str
    path: str
    operation: str = ""

    @property
    def name(self) -> str:
        """How the page calls it: `POST /v1/events`, `CreateCampaign`."""
        return self.operation or f"{self.method} {self.path}"


def application(service: str) -> Any:
    """The HTTP process of a service; nothing connects to build it."""
    settings = import_module(f"services.{service}.settings").Settings()
    return import_module(f"services.{service}.app").build(settings)


def routes(service: str, app: Any) -> list[Route]:
    """Every route of an application, those outside its OpenAPI page included."""
    found = [
        Route(service, method, route.path)
        for route in _flat(getattr(app, "app", app).routes)
        for method in sorted(route.methods - {"HEAD"})
    ]
    if service != "engine":
        targets = [Route(service, "POST", "/", target) for target in aws_operations(app)]
        return [route for route in found if route.path != "/" or route.method == "GET"] + targets
    # Those below /s3/ take signatures for S3 alone and answer in XML; tests/e2e/test_gateway.py calls them.
    return [route for route in found if route.path != "/" and not route.path.startswith("/s3/")] + [
        Route(service, "POST", "/", operation) for operation in TABLE
    ]


def aws_operations(app: Any) -> dict[str, Operation[Any]]:
    """The operations of services of AWS that an application answers at `POST /`, by their X-Amz-Target."""
    operations: dict[str, Operation[Any]] = {}
    for route in _flat(getattr(app, "app", app).routes):
        answering = getattr(getattr(route, "endpoint", None), "__self__", None)
        if isinstance(answering, JsonServices):
            operations |= answering.operations
    return operations


def _flat(listed: list[Any]) -> Iterator[Any]:
    for route in listed:
        if hasattr(route, "original_router"):
            yield from _flat(route.original_router.routes)
        else:
            yield route


def declared_scopes(every: list[Route]) -> dict[Route, frozenset[str]]:
    """The scopes that the page names for each route. A more exact row comes before a pattern.

    ValueError for a route without a row, and for a row without a route.
    """
    exact: dict[tuple[str, str], frozenset[str]] = {}
    patterns: dict[tuple[str, str], frozenset[str]] = {}
    for services, names, scopes in _table("What each route needs"):
        held = frozenset(_CODE.findall(scopes)) - {OPEN}
        for service in SERVICES if services == "every service" else services.split(", "):
            for name in _CODE.findall(names):
                (patterns if "*" in name else exact)[service, name] = held
    used: set[tuple[str, str]] = set()
    declared: dict[Route, frozenset[str]] = {}
    for route in every:
        matching = [(route.service, route.name)] if (route.service, route.name) in exact else []
        matching += [key for key in patterns if key[0] == route.service and fnmatchcase(route.name, key[1])]
        if not matching:
            message = f"{PAGE.name} does not say which scope {route.service}'s {route.name} needs"
            raise ValueError(message)
        used.update(matching)
        declared[route] = exact.get(matching[0], patterns.get(matching[0], frozenset()))
    unused = (exact.keys() | patterns.keys()) - used
    if unused:
        message = f"{PAGE.name} has rows for what is not there: {sorted(unused)}"
        raise ValueError(message)
    return declared


def declared_credentials() -> dict[str, frozenset[str]]:
    """The scopes that the page names for each kind of credentials."""
    return {
        _CODE.findall(kind)[0]: frozenset(_CODE.findall(scopes)) - {OPEN}
        for kind, scopes, *_ in _table("Kinds of credentials")
    }


def _table(title: str) -> list[list[str]]:
    """The rows of the first table under a heading."""
    _, _, section = Path(PAGE).read_text().partition(f"### {title}\n")
    lines = [line for line in section.split("\n#", 1)[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
