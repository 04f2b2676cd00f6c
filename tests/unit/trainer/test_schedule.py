from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from services.trainer.domain.schedules import Cron
from services.trainer.settings import PersonalizeSettings, Settings


def at(hour: int, minute: int = 0, second: int = 0, *, day: int = 29) -> datetime:
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        (at(1, 59, 59), at(2, day=28), at(2)),
        (at(2), at(2), at(2, day=30)),
        (at(2, 0, 30), at(2), at(2, day=30)),
        (at(23, 59), at(2), at(2, day=30)),
    ],
)
def test_a_time_is_due_from_its_second_on(now: datetime, last: datetime, following: datetime) -> None:
    cron = Cron("0 2 * * *")
    assert (cron.last_until(now), cron.next_after(now)) == (last, following)


def test_a_time_is_that_of_its_zone_also_when_its_hour_is_skipped() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")  # whose clocks go from 2:00 to 3:00 on the 29th
    assert cron.last_until(at(0)) == at(1, 30, day=28)
    assert cron.next_after(at(0)) == at(1)
    assert cron.next_after(at(1)) == at(0, 30, day=30)


@pytest.mark.parametrize(
    ("expression", "timezone", "problem"),
    [
        ("0 25 * * *", "UTC", "no cron expression: Bad hour"),
        ("@daily", "UTC", "needs minute, hour, day, month, weekday"),
        ("0 0 2 * * *", "UTC", "needs minute, hour, day, month, weekday"),
        ("0 0 30 2 *", "UTC", "no cron expression: Bad day-of-month"),
        ("0 2 * * *", "Mars/Phobos", "'Mars/Phobos' is no time zone"),
        ("0 2 * * *", "../../etc/passwd", "is no time zone"),
        ("0 2 * * *", "", "is no time zone"),
    ],
)
def test_a_schedule_without_times_is_refused(expression: str, timezone: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Cron(expression, timezone).check()


def test_a_default_schedule_without_times_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValidationError, match="no cron expression"):
        Settings(schedule="0 25 * * *")


@pytest.mark.parametrize(("endpoint", "amazon"), [("", False), ("http://127.0.0.1:8007", True)])
def test_amazon_is_used_only_when_both_settings_say_so(endpoint: str, *, amazon: bool) -> None:
    with pytest.raises(ValidationError, match="AWS_ENDPOINT_URL_PERSONALIZE"):
        Settings(amazon=amazon, personalize=PersonalizeSettings(aws_endpoint_url_personalize=endpoint))
