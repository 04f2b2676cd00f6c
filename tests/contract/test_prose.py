"""What the pages say is so: links lead somewhere, commands exist, tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.local.ports import SERVICES, Ports
from deploy.local.product import programs
from shared.events.topics import TOPICS
from tests.architecture.source import ROOT, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
MAKE = re.compile(r"`make ([a-z-]+)")
MODULE = re.compile(r"python -m ((?:services|shared|deploy|tests)[a-z_.]*)")


def text(path: Path) -> str:
    return (ROOT / path).read_text()


def rows(path: str, heading: str) -> dict[str, list[str]]:
    """The table under its heading line, by first cell; backticks left out."""
    lines = text(Path(path)).splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading}"))
    found = {}
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        first, *rest = (cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        found[first] = rest
    return found


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert not [link for link in LINK.findall(text(page)) if not (ROOT / page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_exists(page: Path) -> None:
    targets = set(re.findall(r"^\.PHONY: ([a-z-]+)", text(Path("Makefile")), re.MULTILINE))
    modules = {name.rstrip(".") for name in MODULE.findall(text(page))} - {"services"}

    assert set(MAKE.findall(text(page))) <= targets
    for module in modules:
        place = ROOT / Path(*module.split("."))
        assert (place / "__main__.py").is_file() or place.with_suffix(".py").is_file(), module


def test_files_that_the_pages_name_exist() -> None:
    """`domain/planning.py` may leave out the folders in front; `<name>.py` stands for any."""
    files = [f"/{path}" for path in tracked()]
    wrong = [
        f"{page}: {name}"
        for page in PAGES
        for name in re.findall(r"`([\w./-]+/[\w./-]+\.(?:py|sql|sh|yml))`", text(page))
        if not any(path.endswith(f"/{name}") for path in files) and page.parts[:2] != ("docs", "how-to")
    ]

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_on_architecture_has_the_topics_of_the_registry(service: str) -> None:
    _, consumes, publishes, processes = rows("docs/architecture.md", "service")[service]

    assert set(consumes.split(", ")) - {"–"} == {
        topic.name for topic in TOPICS if service in topic.consumers | topic.readers
    }
    assert set(publishes.split(", ")) - {"–"} == {
        topic.name for topic in TOPICS if service in topic.producers
    }
    assert processes.split(", ") == [
        program.name.partition("-")[2] or "serve"
        for program in programs()
        if program.name.partition("-")[0] == service
    ]


def test_the_page_on_architecture_has_every_topic_as_it_is_kept() -> None:
    assert rows("docs/architecture.md", "topic") == {
        topic.name: [
            ", ".join(event.__name__ for event in topic.events),
            topic.key,
            str(topic.partitions),
            "compacted" if topic.retention is None else f"{topic.retention.days} days",
        ]
        for topic in TOPICS
    }


def test_the_page_on_architecture_has_every_part_of_shared() -> None:
    parts = {path.parts[1].removesuffix(".py") for path in tracked() if path.parts[0] == "shared"}

    assert set(rows("docs/architecture.md", "part")) == {f"shared/{part}" for part in parts - {"__init__"}}


def test_the_page_on_architecture_has_the_folders_of_engine_and_recommender() -> None:
    folders = set(rows("docs/architecture.md", "folder"))
    training = {path.parts[3] for path in tracked() if path.parts[:3] == ("services", "engine", "training")}
    usual = {"api", "app", "domain", "migrations", "store", "worker"}
    expected = {
        f"{service}/{path.parts[2]}"
        for service in ("services/engine", "services/recommender")
        for path in tracked()
        if str(path).startswith(service) and len(path.parts) > 3 and path.parts[2] not in {*usual, "training"}
    } | {f"services/engine/training/{name}" for name in training if not name.endswith(".py")}

    assert folders == expected


def test_the_front_page_has_every_service_and_its_port() -> None:
    ports = Ports.usual({})

    assert {name: cells[1] for name, cells in rows("README.md", "service").items()} == {
        service: str(ports[service]) for service in SERVICES
    }
