"""Records of a topic, read back."""

from __future__ import annotations

from shared.events import InteractionRecorded


def ids(records: list[object]) -> list[str]:
    return [InteractionRecorded.model_validate_json(record.value).event_id for record in records]  # type: ignore[attr-defined]
