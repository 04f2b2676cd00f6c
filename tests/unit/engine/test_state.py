"""Stored rows are parsed into the state of their type and written back as they were."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from services.engine.domain import state
from services.engine.domain.resources import Resource, ResourceType
from tests.support.stored_resources import GROUP, PREFIX, ROWS, SETTINGS
from tests.support.training import training_config

IDS = [kind.__name__ for kind, _, _ in ROWS]


def row(kind: ResourceType, document: dict[str, Any], facts: dict[str, Any]) -> Resource:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    tenant = None if kind is ResourceType.SCHEMA else "shop"
    path = f"{kind}/name"
    return Resource(
        1, "0" * 12, tenant, kind, path, "dataset-group/shop", PREFIX + path, "name", "ACTIVE", None,
        document, facts, now, now,
    )  # fmt: skip


def test_every_type_has_a_state() -> None:
    assert {kind.type for kind, _, _ in ROWS} == set(ResourceType)


@pytest.mark.parametrize(("kind", "document", "facts"), ROWS, ids=IDS)
def test_a_stored_row_is_written_back_as_it_was(
    kind: type[state.ResourceState], document: dict[str, Any], facts: dict[str, Any]
) -> None:
    parsed = kind.of(row(kind.type, document, facts))

    assert parsed.document.to_json() == document
    assert parsed.facts.to_json() == facts


@pytest.mark.parametrize(("kind", "document", "facts"), ROWS, ids=IDS)
def test_members_of_another_version_of_the_engine_are_kept(
    kind: type[state.ResourceState], document: dict[str, Any], facts: dict[str, Any]
) -> None:
    later = {"a_later_member": {"inside": [1, None]}}
    parsed = kind.of(row(kind.type, document | later, facts | later))
    changed = parsed.facts.model_copy(update={"tags": {"a": "b"}})

    assert parsed.document.to_json() == document | later
    assert changed.to_json() == facts | later | {"tags": {"a": "b"}}


def test_a_row_without_a_required_member_is_refused() -> None:
    with pytest.raises(state.Unreadable, match="trackingId"):
        state.EventTracker.of(row(ResourceType.EVENT_TRACKER, {"datasetGroupArn": GROUP}, {}))


def test_a_row_with_an_arn_that_cannot_be_parsed_is_refused() -> None:
    with pytest.raises(state.Unreadable, match="datasetGroupArn"):
        state.EventTracker.of(
            row(ResourceType.EVENT_TRACKER, {"datasetGroupArn": "shop", "trackingId": "t"}, {})
        )


def test_a_state_does_not_change() -> None:
    tracker = state.EventTracker.of(
        row(ResourceType.EVENT_TRACKER, {"datasetGroupArn": GROUP, "trackingId": "t"}, {})
    )

    with pytest.raises(ValidationError, match="frozen"):
        tracker.document.tracking_id = "another"


def test_recipes_read_the_event_type_beside_the_configuration() -> None:
    document = state.TrainingDocument.model_validate(SETTINGS)

    expected = training_config(eventType="purchase", **SETTINGS["solutionConfig"])
    assert state.training_config(document) == expected
    assert state.training_config(state.TrainingDocument()) == training_config()
