from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.engine.domain.key_expiry import parse_expiry

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("1.5d", timedelta(hours=36)),
        (" 2w ", timedelta(days=14)),
    ],
)
def test_a_duration_counts_from_now(text: str, duration: timedelta) -> None:
    assert parse_expiry(text, NOW) == NOW + duration


def test_a_time_without_an_offset_is_utc() -> None:
    assert parse_expiry("2027-01-31", NOW) == datetime(2027, 1, 31, tzinfo=UTC)
    assert parse_expiry("2027-01-31T02:00+02:00", NOW) == datetime(2027, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "7", "7y", "-7d", "0d", "999999w", "2020-01-01", "9999-01-01", "soon", "7\0d"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither a duration|not within a century"):
        parse_expiry(text, NOW)
