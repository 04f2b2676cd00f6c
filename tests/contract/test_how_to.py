"""The code of the how-to pages runs against the product, and the files that they name exist."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

import services
from services.tracker.domain import batch, formats
from services.tracker.domain.ingest_context import IngestContext
from shared.events import InteractionRecorded, topics
from shared.events.topics import INTERACTIONS
from tests.architecture.source import ROOT, tracked
from tests.contract.how_to import FOLDER, files, named_files, run, wrong_files
from tests.contract.wiring import wiring_of

PAGES = sorted(path.name for path in (ROOT / FOLDER).glob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_the_files_of_a_page_exist_and_hold_its_examples(page: str) -> None:
    assert wrong_files(page) == []


def test_the_wire_format_of_the_page_parses_events(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    context = IngestContext("shop", now, now - timedelta(days=7300), lambda: "new")
    page = "add-a-wire-format.md"

    acme = run(page, 0)
    monkeypatch.setattr(batch, "EVENT_FORMATS", (acme.FORMAT, *formats.EVENT_FORMATS))
    run(page, 1, context=context, parse_events=batch.parse_events)


def test_the_service_of_the_page_is_complete(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, content in files("add-a-service.md").items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setattr(services, "__path__", [*services.__path__, str(tmp_path / "services")])
    interactions = replace(INTERACTIONS, consumers=INTERACTIONS.consumers | {"purchases"})
    monkeypatch.setattr(topics, "INTERACTIONS", interactions)
    purchase = InteractionRecorded(
        event_id="e",
        tenant="shop",
        occurred_at=datetime(2026, 11, 29, tzinfo=UTC),
        received_at=datetime(2026, 11, 29, tzinfo=UTC),
        user_id="u",
        event_type="purchase",
        item_id="i",
        source="events",
    )

    try:
        wiring = wiring_of("purchases")
        main = import_module("services.purchases.__main__")
        domain = import_module("services.purchases.domain")
        statements = import_module("services.purchases.store").SQL
        paths = main.app.build(main.Settings()).openapi()["paths"]
    finally:
        for module in [name for name in sys.modules if name.startswith("services.purchases")]:
            del sys.modules[module]

    assert wiring.consumed == {interactions}
    assert list(paths) == ["/v1/purchases/{item_id}"]
    assert [statement.name for statement in statements] == ["add", "number"]
    assert domain.purchases_in([purchase, purchase]) == {("shop", "e", "i")}


def test_the_page_on_services_names_every_list_of_services() -> None:
    """Tests of single services, and migrations, which never change, are no registries."""
    places = [
        str(path)
        for path in tracked()
        if path.suffix in {".py", ".toml", ".yml"} or path.name == "Makefile"
        if path.parts[:2] in {("tests", "support"), ("tests", "contract"), ("tests", "architecture")}
        or path.parts[0] != "tests"
    ]
    every_service = re.compile(r"^(?=.*\bsync\b)(?=.*\btrainer\b)(?=.*\bloader\b).*$", re.MULTILINE)
    lists = [name for name in places if every_service.search((ROOT / name).read_text())]

    assert [name for name in lists if name not in named_files("add-a-service.md")] == []
