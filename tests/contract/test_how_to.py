"""The code of the how-to pages runs against the product, and the files that they name exist."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.personalize import operations
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.fitting import silent
from services.engine.training.recipes.configuration import check
from services.tracker.domain import batch, formats
from services.tracker.domain.ingest_context import IngestContext
from shared.errors import Permanent
from shared.events import InteractionRecorded, topics
from shared.events.topics import INTERACTIONS
from tests.architecture.source import ROOT, tracked
from tests.contract.how_to import FOLDER, installed, named_files, run, wrong_files
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

    with installed("add-a-service.md", tmp_path):
        wiring = wiring_of("purchases")
        main = import_module("services.purchases.__main__")
        domain = import_module("services.purchases.domain")
        statements = import_module("services.purchases.store").SQL
        paths = main.app.build(main.Settings()).openapi()["paths"]

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


def test_the_recipe_of_the_page_trains_and_recommends(tmp_path: Path) -> None:
    page, day = "add-a-recipe.md", 86_400
    shop = Dataset.from_arrow(
        pa.table(
            {
                "USER_ID": ["ann", "bob"],
                "ITEM_ID": ["old", "new"],
                "TIMESTAMP": pa.array([1_700_000_000, 1_700_000_000 + 10 * day], pa.int64()),
            }
        )
    )

    with installed(page, tmp_path):
        recipe = import_module("services.engine.training.recipes.newest").RECIPE
        method = import_module("services.engine.training.methods.novelty")
        names = {"TrainingConfig": TrainingConfig, "novelty": method.novelty}
        run(page, 2, RECIPE=recipe, shop=shop, silent=silent, check=check, **names)
        with pytest.raises(Permanent, match="half_life_days"):
            check(recipe, TrainingConfig(algorithm_hyper_parameters={"half_life_days": "1000"}))


def test_the_operation_of_the_page_counts_tags(tmp_path: Path) -> None:
    async def find_any(_: str) -> SimpleNamespace:
        return SimpleNamespace(facts={"tags": {"season": "spring", "team": "shop"}})

    page = "add-a-personalize-operation.md"
    with installed(page, tmp_path):
        tag_counts = import_module("services.engine.personalize.tag_counts")
        table = dict(operations.TABLE)
        names = {"tag_counts": tag_counts, "TABLE": table, "is_change": operations.is_change}
        run(page, 1, OperationSpec=operations.OperationSpec, **names)
        run(page, 2, context=SimpleNamespace(find_any=find_any), **names)

    assert table.keys() - operations.TABLE.keys() == {"CountTags"}
