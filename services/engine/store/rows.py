"""Rows of the table `resources`, and their typed states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog

from services.engine.domain.resources import DELETE_PENDING_SECONDS, Resource, ResourceType, Status
from services.engine.domain.state import ResourceState, Unreadable

State = TypeVar("State", bound=ResourceState)
Stored = TypeVar("Stored", bound=Resource | ResourceState)
Parsed = TypeVar("Parsed")

_COLUMNS = tuple(Resource.__dataclass_fields__)

log = structlog.get_logger()


def from_row(row: Any) -> Resource | None:
    """Return a row of the table as a Resource; None without a row.

    A row has the time at which its deletion began. The status that is shown follows from that, by the clock
    of Postgres.
    """
    if row is None:
        return None
    values = {name: row[name] for name in _COLUMNS}
    if values["status"] == Status.DELETE_PENDING and row.get("age_seconds", 0) >= DELETE_PENDING_SECONDS:
        values["status"] = Status.DELETE_IN_PROGRESS.value
    return Resource(**{**values, "type": ResourceType(values["type"])})


def readable(parse: Callable[[Stored], Parsed], stored: Sequence[Stored]) -> list[Parsed]:
    """Return the results of `parse`; resources for which it raises Unreadable are left out and logged."""
    parsed = []
    for resource in stored:
        try:
            parsed.append(parse(resource))
        except Unreadable as error:
            arn = str(resource.arn)
            log.error("engine.unreadable_resource", resource=arn, reason=str(error))  # noqa: TRY400
    return parsed
