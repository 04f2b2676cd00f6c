"""Calls of the event operations of Amazon Personalize."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.component.tracker.conftest import Tracker

NOW = datetime.now(UTC).replace(microsecond=0)


def put(tracker: Tracker, user: str | None, *events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    request = {
        "trackingId": tracker.tenant.tracking_id,
        "sessionId": f"session-{user}",
        "eventList": [{"eventType": "View", "sentAt": NOW} | event for event in events or [{}]],
    } | ({"userId": user} if user else {})
    answer: dict[str, Any] = tracker.client().put_events(**request | changes)
    return answer


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int, int]:
    meta = error.value.response["ResponseMetadata"]
    return error.value.response["Error"]["Code"], meta["HTTPStatusCode"], meta["RetryAttempts"]
