"""HTTP: the schedules of a tenant."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field

from services.trainer.domain.run_options import RunOptions
from services.trainer.domain.schedules import MAX_SCHEDULES, Cron, Schedule
from services.trainer.store import Schedules
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events.values import Text
from shared.http.runtime import ErrorBody


class ScheduleDefinition(RunOptions):
    """The times at which runs are due, and their options."""

    cron: Text = Field(
        min_length=1,
        max_length=200,
        description="minute, hour, day, month and weekday",
        examples=["0 2 * * *"],
    )
    timezone: Text = Field("UTC", min_length=1, max_length=64, examples=["Europe/Berlin"])
    enabled: bool = True


class StoredSchedule(ScheduleDefinition):
    """A schedule with its times."""

    name: str
    from_settings: bool = Field(description="whether it is that of TRAINER_SCHEDULE, which every tenant has")
    next_due: datetime | None = Field(description="null while it is not enabled")
    last_due: datetime | None = Field(description="the last time that was due")
    last_run: int | None = Field(description="the run of that time; null if there was nothing to train")
    changed_at: datetime


class SchedulesPage(BaseModel):
    """All schedules of a tenant."""

    schedules: list[StoredSchedule]


Name = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,63}$", description="the name of the schedule")]

_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "The tenant has no such schedule."}
}
_INVALID: dict[int | str, dict[str, Any]] = {
    201: {"model": StoredSchedule, "description": "The schedule is new."},
    400: {"model": ErrorBody, "description": "There are no such times."},
    409: {"model": ErrorBody, "description": "The tenant has too many schedules."},
}
_OF_SETTINGS: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "The schedule is that of the settings."}
}


def _unknown(name: str) -> ApiError:
    return ApiError(404, "UnknownSchedule", f"There is no schedule {name}; GET /v1/schedules lists them.")


def router(authenticator: Authenticator, schedules: Schedules) -> APIRouter:
    """Return the routes of schedules."""
    routes = APIRouter(prefix="/v1/schedules", tags=["schedules"])
    Reader = Annotated[Principal, Depends(authenticator.require("read"))]  # noqa: N806
    Administrator = Annotated[Principal, Depends(authenticator.require("admin"))]  # noqa: N806

    @routes.get("", operation_id="list_schedules")
    async def list_schedules(principal: Reader) -> SchedulesPage:
        """List the schedules of the tenant by name."""
        rows = await schedules.of_tenant(principal.own_tenant)
        return SchedulesPage(schedules=[_body(row) for row in rows])

    @routes.get("/{name}", operation_id="get_schedule", responses=_UNKNOWN)
    async def get_schedule(principal: Reader, name: Name) -> StoredSchedule:
        """Show a schedule."""
        return await _stored(schedules, principal.own_tenant, name)

    @routes.put("/{name}", operation_id="put_schedule", responses=_INVALID)
    async def put_schedule(
        principal: Administrator, name: Name, definition: ScheduleDefinition, response: Response
    ) -> StoredSchedule:
        """Add or change a schedule; `default` replaces that of the settings. An equal one changes nothing.

        Raises ApiError 400 for a cron expression without a time, and 409 for too many schedules.
        """
        schedule = _schedule(definition)
        is_new = await schedules.put(principal.own_tenant, name, schedule, datetime.now(UTC))
        if is_new is None:
            raise ApiError(409, "TooManySchedules", f"A tenant has at most {MAX_SCHEDULES} schedules.")
        response.status_code = 201 if is_new else 200
        return await _stored(schedules, principal.own_tenant, name)

    @routes.delete(
        "/{name}", operation_id="delete_schedule", status_code=204, responses=_UNKNOWN | _OF_SETTINGS
    )
    async def delete_schedule(principal: Administrator, name: Name) -> None:
        """Delete a schedule; after `default`, that of the settings returns. Runs are not cancelled.

        Raises ApiError 409 for the schedule of the settings.
        """
        if await schedules.delete(principal.own_tenant, name):
            return
        if await schedules.of_tenant(principal.own_tenant, name):
            detail = f'{name} is the schedule of the settings: put one of this name with "enabled": false.'
            raise ApiError(409, "ScheduleOfSettings", detail)
        raise _unknown(name)

    return routes


def _schedule(definition: ScheduleDefinition) -> Schedule:
    """Return a schedule that has times; ApiError 400 without."""
    cron = Cron(definition.cron, definition.timezone)
    try:
        cron.check()
    except ValueError as error:
        raise ApiError(400, "InvalidSchedule", f"{error}.") from None
    options = RunOptions(**definition.model_dump(include=set(RunOptions.model_fields)))
    return Schedule(cron, options, definition.enabled)


async def _stored(schedules: Schedules, tenant: str, name: str) -> StoredSchedule:
    rows = await schedules.of_tenant(tenant, name)
    if not rows:
        raise _unknown(name)
    return _body(rows[0])


def _body(row: dict[str, Any]) -> StoredSchedule:
    next_due = row["next_due"] if row["enabled"] else None
    return StoredSchedule.model_validate({**row, **row["options"], "next_due": next_due})
