"""Events are contracts: schemas are committed, old examples stay readable, topics are well formed."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.events import Event, OrderLine, derived_id, line_id
from shared.events.documents import SCHEMAS, event_classes, file_stem, schemas
from shared.events.envelope import EVENT_NAMESPACE
from shared.events.topics import TOPICS, Topic

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = SCHEMAS.with_name("examples")
CLASSES = {file_stem(event): event for event in event_classes()}
FILES = sorted(EXAMPLES.glob("*/*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_is_read_and_written_again_unchanged(path: Path) -> None:
    document = json.loads(path.read_text())

    event = CLASSES[path.parent.name].model_validate_json(path.read_bytes())

    again = json.loads(event.model_dump_json(exclude_unset=True))
    assert again == document


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_field_from_the_future_is_ignored(path: Path) -> None:
    document = json.loads(path.read_text()) | {"a_field_of_next_year": {"deep": [1]}}

    CLASSES[path.parent.name].model_validate(document)


@pytest.mark.parametrize("stem", sorted(CLASSES))
def test_every_event_has_an_example(stem: str) -> None:
    assert list((EXAMPLES / stem).glob("*.json"))


def test_no_example_or_schema_is_orphaned() -> None:
    assert {path.parent.name for path in FILES} == set(CLASSES)
    assert set(SCHEMAS.glob("*.json")) == set(schemas())


@pytest.mark.parametrize("path", sorted(schemas()), ids=lambda path: path.name)
def test_a_committed_document_is_what_the_code_says(path: Path) -> None:
    committed = (ROOT / path).read_bytes()

    assert committed == schemas()[path], "run `make contracts` and commit the change"


@pytest.mark.parametrize("stem", sorted(CLASSES))
def test_a_contract_only_grows(stem: str) -> None:
    """Against the last commit: nothing removed, nothing newly required, no type changed."""
    before = _committed(SCHEMAS / f"{stem}.json")
    now = CLASSES[stem].model_json_schema()

    assert not _breaking(before, now), f"upgrade the readers of {stem} first, or make version 2"


def _committed(path: Path) -> dict[str, Any]:
    name = path.relative_to(ROOT)
    shown = subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, check=False)
    return json.loads(shown.stdout) if shown.returncode == 0 else {}


def _breaking(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    old, new = before.get("properties", {}), now["properties"]
    removed = [f"{name} was removed" for name in old if name not in new]
    required = [
        f"{name} became required"
        for name in now.get("required", [])
        if before and name not in before.get("required", [])
    ]
    retyped = [
        f"{name} changed its type"
        for name in old
        if name in new and {"type", "anyOf"} & old[name].keys() and _types(old[name]) - _types(new[name])
    ]
    return removed + required + retyped


def _types(schema: dict[str, Any]) -> set[str]:
    return {str(option.get("type", option.get("$ref"))) for option in schema.get("anyOf", [schema])}


def test_a_breaking_change_is_found() -> None:
    before = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"]}
    now = {"properties": {"a": {"type": "integer"}, "c": {"type": "string"}}, "required": ["a", "c"]}

    assert _breaking(before, now) == ["b was removed", "c became required", "a changed its type"]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_is_well_formed(topic: Topic) -> None:
    assert re.fullmatch(r"[a-z0-9-]+-v[1-9]", topic.name)
    assert topic.partitions in {1, 6, 12}
    assert topic.retention in {None, timedelta(days=7), timedelta(days=14)}
    assert topic.consumers | topic.readers | topic.lookups, "somebody reads it"
    assert not topic.readers or topic.compacted, "only states are read whole"


def test_the_topics_events_start_their_keys_with_the_tenant() -> None:
    for path in FILES:
        event = CLASSES[path.parent.name].model_validate_json(path.read_bytes())

        assert event.key.split(":")[0] == event.tenant


@pytest.mark.parametrize("bad", ["", "x" * 257, "a\x00b"])
def test_an_id_that_nobody_could_store_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="event_id"):
        Event(event_id=bad, tenant="default", occurred_at="2026-01-01T00:00:00Z")


def test_derived_ids_are_those_of_the_standard_library() -> None:
    for n in range(50):
        name = json.dumps(["shop", f"é{n}", n], separators=(",", ":"), ensure_ascii=False)
        assert derived_id("shop", f"é{n}", n) == str(uuid.uuid5(EVENT_NAMESPACE, name))


def test_derived_ids_repeat_and_differ() -> None:
    first = line_id("default", "536365", OrderLine(item_id="85123A", n=1), "purchase")

    assert first == line_id("default", "536365", OrderLine(item_id="85123A", quantity=9), "purchase")
    assert first != line_id("default", "536365", OrderLine(item_id="85123A", n=2), "purchase")
    assert first != line_id("other", "536365", OrderLine(item_id="85123A", n=1), "purchase")
    assert derived_id("a", "bc") != derived_id("ab", "c")
