"""A dead letter's record with another value."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import Permanent
from shared.events.topics import INTERACTIONS
from shared.kafka import DeadLetter, encoded
from tests.support.kafka import interaction

EVENT = interaction(event_id="e1")


def letter(value: bytes) -> DeadLetter:
    """Return the letter of an event whose value is damaged."""
    record = encoded(EVENT, "tracker", "")
    place: dict[str, Any] = {
        "topic": INTERACTIONS.dlq("tracker"),
        "partition": 0,
        "offset": 7,
        "timestamp": 1,
    }
    return DeadLetter.of(
        SimpleNamespace(**place, key=record.key, value=value, headers=record.headers)  # type: ignore[arg-type]
    )


def test_a_mended_value_is_under_the_key_of_its_event() -> None:
    damaged, mended = letter(b"{"), EVENT.model_copy(update={"user_id": "u2"})

    record = damaged.mended(mended.model_dump_json().encode())

    assert (record.key, record.headers) == (b"shop:u2", damaged.record.headers)
    assert (record.value or b"").decode() == mended.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tenant": "another"}, "an event of the tenant shop"),
        ({"event_id": "e2"}, "event_id must stay e1"),
        ({"event_type": None}, "event_type"),
    ],
)
def test_another_event_is_refused(changes: dict[str, Any], sentence: str) -> None:
    value = EVENT.model_copy(update=changes).model_dump_json(warnings=False).encode()

    with pytest.raises(Permanent, match=sentence):
        letter(b"{").mended(value)
