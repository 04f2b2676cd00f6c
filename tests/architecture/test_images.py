"""What runs in containers: each image holds what its service imports, and Compose starts every process."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.ports import SERVICES, Ports
from deploy.local.product import probe_port, programs
from tests.architecture.source import ROOT, nodes, python_files
from tests.architecture.test_compose import MONITORING
from tests.architecture.test_requirements import pins

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CONTAINERS: dict[str, Any] = COMPOSE["services"]
PROCESSES = [program.name for program in programs()]
OWN = ("services", "shared", "deploy", "tests")


@cache
def imported(path: Path) -> list[str]:
    """The modules that a file can't run without, and what it takes from them."""
    names: list[str] = []
    spared = {id(inner) for node in nodes(path) if is_spared(node) for inner in ast.walk(node)}
    for node in nodes(path):
        if id(node) in spared:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def is_spared(node: ast.AST) -> bool:
    """Whether what is imported below is for types alone, or may be missing."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, ast.Try) and any("ImportError" in ast.dump(handler) for handler in node.handlers)


@cache
def files_of(name: str) -> list[Path]:
    """The files that run when `name` is imported: a module, and the packages around it."""
    parts = name.split(".")
    places = [Path(*parts[:count]) for count in range(1, len(parts) + 1)]
    paths = [path for place in places for path in (place.with_suffix(".py"), place / "__init__.py")]
    return [path for path in paths if (ROOT / path).is_file()]


def reached(service: str) -> tuple[set[Path], set[str]]:
    """The files of the project that run in a service's image, and the other modules that those import."""
    waiting = [path for path in python_files("services") if path.parts[1] == service]
    # Jobs of Compose that run in the engine's image.
    waiting += [*files_of("shared.kafka.__main__"), *files_of("shared.postgres.__main__")]
    seen, others = set(waiting), set()
    while waiting:
        for name in imported(waiting.pop()):
            if name.split(".")[0] in OWN:
                new = set(files_of(name)) - seen
                seen |= new
                waiting += new
            else:
                others.add(name.split(".")[0])
    return seen, others


@pytest.fixture(scope="module")
def distributions() -> Mapping[str, list[str]]:
    """The distributions that each module comes from."""
    return packages_distributions()


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_what_its_service_imports(
    service: str, distributions: Mapping[str, list[str]]
) -> None:
    files, modules = reached(service)
    installed = pins(ROOT / "requirements" / f"{service}.txt").keys()

    copied = [path for path in files if path.parts[0] != "shared" and path.parts[:2] != ("services", service)]
    lacking = {
        module
        for module in modules - sys.stdlib_module_names
        if not {re.sub(r"[-_.]+", "-", name).lower() for name in distributions[module]} & installed
    }

    assert copied in ([], [Path("services/__init__.py")])
    assert not lacking


@pytest.mark.parametrize("process", PROCESSES)
def test_compose_starts_every_process(process: str) -> None:
    service, _, command = process.partition("-")
    container = CONTAINERS[process]

    assert container["image"] == f"endcap-{service}"
    assert container["command"] == [command or "serve"]
    assert f":{probe_port(Ports.usual({}), process)}/livez" in str(container["healthcheck"])


def test_every_container_has_a_memory_limit_and_what_stays_has_a_health_check() -> None:
    jobs = {name for name, container in CONTAINERS.items() if container["restart"] == "on-failure:5"}

    assert {name for name, container in CONTAINERS.items() if "mem_limit" not in container} == set()
    assert {name for name, container in CONTAINERS.items() if "healthcheck" not in container} == jobs


def test_the_object_store_waits_for_the_topic_without_which_it_ends() -> None:
    assert "topics" in CONTAINERS["s3"]["depends_on"]


def test_compose_starts_no_process_that_is_not_there() -> None:
    of_ours = {
        name for name, container in CONTAINERS.items() if container.get("command") and name in PROCESSES
    }
    jobs = {name for name, container in CONTAINERS.items() if container.get("restart") == "on-failure:5"}
    servers = {"gateway", "kafka", "postgres", "redis", "s3", "shop", *MONITORING}

    assert CONTAINERS.keys() - of_ours - jobs == servers


@pytest.mark.parametrize("service", SERVICES)
def test_compose_builds_each_image_and_migrates_each_schema(service: str) -> None:
    built = [
        container["build"]["args"]["SERVICE"]
        for container in CONTAINERS.values()
        if container.get("image") == f"endcap-{service}" and "build" in container
    ]

    assert set(built) == {service}
    if (ROOT / "services" / service / "migrations").is_dir():
        assert CONTAINERS[f"migrate-{service}"]["command"] == ["migrate"]


def test_every_path_that_an_image_is_made_of_exists() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
    ignored = {line.strip("*/") for line in (ROOT / ".dockerignore").read_text().split()}

    assert copied
    for place in copied:
        for service in SERVICES:
            path = Path(place.replace("${SERVICE}", service))
            assert (ROOT / path).exists(), path
            assert path.parts[0] not in ignored
