from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from services.trainer.schedule import Schedule, due_time
from services.trainer.settings import PersonalizeSettings, Settings

HOUR = timedelta(hours=1)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 3, 29, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (at(1, 59, 59), None),
        (at(2), at(2)),
        (at(2, 0, 30), at(2)),
        (at(2, 59), at(2)),
        (at(3, 0, 1), None),
    ],
)
def test_a_time_is_due_from_its_second_until_it_is_too_late(now: datetime, due: datetime | None) -> None:
    assert due_time("0 2 * * *", now, HOUR) == due


async def test_what_is_due_is_asked_for_at_every_look() -> None:
    asked: list[datetime] = []

    async def ask(due: datetime) -> list[int]:
        asked.append(due)
        return []

    schedule = Schedule("*/15 * * * *", HOUR, ask)
    for minute in (0, 7, 15, 29, 30):
        await schedule.request_due(at(4, minute))

    assert asked == [at(4), at(4), at(4, 15), at(4, 15), at(4, 30)]


async def test_no_schedule_asks_for_nothing() -> None:
    async def ask(due: datetime) -> list[int]:
        raise AssertionError(due)

    assert await Schedule("", HOUR, ask).request_due(at(2)) == []


def test_a_schedule_that_is_none_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValidationError, match="no cron expression"):
        Settings(schedule="0 25 * * *")


@pytest.mark.parametrize(("endpoint", "amazon"), [("", False), ("http://127.0.0.1:8007", True)])
def test_amazon_is_used_only_when_both_settings_say_so(endpoint: str, *, amazon: bool) -> None:
    with pytest.raises(ValidationError, match="AWS_ENDPOINT_URL_PERSONALIZE"):
        Settings(amazon=amazon, personalize=PersonalizeSettings(aws_endpoint_url_personalize=endpoint))
