"""Schedules: the times of a tenant at which runs are due."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from services.trainer.domain.run_options import RunOptions

DEFAULT_SCHEDULE: Final = "default"
"""The name of the schedule that every tenant has; its times are those of TRAINER_SCHEDULE until a tenant
puts its own."""

MAX_SCHEDULES: Final = 20
"""Schedules of a tenant; arbitrary."""

_FIELDS: Final = 5
_REFERENCE: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields, and the time zone in which its times are meant.

    Where a clock is set forward, times of the skipped hour are due at its end; where it is set back, times of
    the repeated hour are due once.
    """

    expression: str
    timezone: str = "UTC"

    def check(self) -> None:
        """Raise ValueError for an expression that has no time, or an unknown time zone."""
        if len(self.expression.split()) != _FIELDS:
            message = f"{self.expression!r} is no cron expression: it needs minute, hour, day, month, weekday"
            raise ValueError(message)
        try:
            self.next_after(_REFERENCE)
        except CronSimError as error:
            message = f"{self.expression!r} is no cron expression: {error}"
            raise ValueError(message) from None
        except StopIteration:
            message = f"{self.expression!r} is due at no time of the next fifty years"
            raise ValueError(message) from None
        except (KeyError, OSError, ValueError):  # ZoneInfo raises each of them
            message = f"{self.timezone!r} is no time zone; use a name such as Europe/Berlin"
            raise ValueError(message) from None

    def next_after(self, now: datetime) -> datetime:
        """Return the first time after `now`, in UTC."""
        following: datetime = next(CronSim(self.expression, now.astimezone(ZoneInfo(self.timezone))))
        return following.astimezone(UTC)

    def last_until(self, now: datetime) -> datetime:
        """Return the last time up to `now`, in UTC."""
        end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        last: datetime = next(CronSim(self.expression, end.astimezone(ZoneInfo(self.timezone)), reverse=True))
        return last.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Runs with the same options at the times of a cron expression."""

    cron: Cron
    options: RunOptions = field(default_factory=RunOptions)
    enabled: bool = True
