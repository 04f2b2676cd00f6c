"""Resources that were deleted and are shown for a moment more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from shared.postgres import Database
from tests.support.waiting import until


async def end_deletions(store: Database) -> None:
    """Let the time go by in which what was deleted is shown."""
    await store.execute(
        "UPDATE resources SET updated_at = updated_at - interval '1 day' WHERE status = 'DELETE PENDING'"
    )


def until_deleted(describe: Callable[..., dict[str, Any]], **arn: str) -> list[str]:
    """Poll as programs do until there is no such resource; return the status words that were seen."""
    seen: list[str] = []

    def is_gone() -> bool:
        try:
            answer = describe(**arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return True
        [resource] = [value for value in answer.values() if isinstance(value, dict) and "status" in value]
        seen.append(resource["status"])
        return False

    until(is_gone, f"{arn} is deleted")
    return seen
