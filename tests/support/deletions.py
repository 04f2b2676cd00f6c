"""Deleted resources, which the service still shows for a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from shared.postgres import Database
from tests.support.waiting import until


async def end_deletions(store: Database) -> None:
    """Make deletions old enough that deleted resources are not shown any more."""
    await store.execute(
        "UPDATE resources SET updated_at = updated_at - interval '1 day' WHERE status = 'DELETE PENDING'"
    )


def until_deleted(describe: Callable[..., dict[str, Any]], **arn: str) -> list[str]:
    """Poll until there is no such resource, as programs do; return the statuses until then."""
    statuses: list[str] = []

    def is_gone() -> bool:
        try:
            response = describe(**arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return True
        [resource] = [value for value in response.values() if isinstance(value, dict) and "status" in value]
        statuses.append(resource["status"])
        return False

    until(is_gone, f"{arn} is deleted")
    return statuses
