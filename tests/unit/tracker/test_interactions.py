"""Interactions that intake makes are those that pydantic would make."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.tracker.domain.interactions import interaction
from shared.events import InteractionRecorded

NOW = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
TEXTS = st.text(max_size=3) | st.sampled_from(["\x00", "a\x00", "\ud800", "é", "x" * 256, "x" * 257, "a\tb"])
NUMBERS = st.none() | st.floats() | st.integers(-3, 3)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "a\x00", "\ud800", "\\u0000"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b\x00"]), inner, max_size=2)
    ),
    max_leaves=4,
)
VALUES = st.fixed_dictionaries(
    dict.fromkeys(("event_id", "event_type"), TEXTS)
    | dict.fromkeys(("user_id", "item_id", "order_id", "city"), st.none() | TEXTS)
    | dict.fromkeys(("value", "price"), NUMBERS)
    | {"properties": st.none() | st.dictionaries(st.sampled_from(["a", "b"]), JSON, max_size=2)}
    | {"impression": st.none() | st.lists(st.text(max_size=1), max_size=2).map(tuple)}
)


def made(make: Any, values: dict[str, Any]) -> Any:
    """Return what a function makes, or the places and kinds of its errors."""
    try:
        event = make(tenant="shop", occurred_at=NOW, received_at=NOW, source="segment", **values)
    except ValidationError as error:
        return [(problem["loc"], problem["type"]) for problem in error.errors()]
    return event, orjson.loads(event.__pydantic_serializer__.to_json(event, exclude_none=True))


@given(VALUES)
def test_any_values_are_accepted_or_refused_as_by_the_model(values: dict[str, Any]) -> None:
    assert made(interaction, values) == made(InteractionRecorded, values)


@pytest.mark.parametrize("event_type", ["view", "v\x00"])
def test_an_interaction_can_be_copied_and_compared(event_type: str) -> None:
    values = {"event_id": "e1", "user_id": "u1", "event_type": "view"}
    event = made(interaction, values)[0]

    assert (
        event.model_copy(update={"withheld": "bot"})
        == made(InteractionRecorded, values | {"withheld": "bot"})[0]
    )
    assert event.subject == "u1"
    with pytest.raises(ValidationError):
        event.event_type = event_type
