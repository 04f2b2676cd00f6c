"""Read the events that name answers, from the tracker's view."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from services.router.store import SQL

if TYPE_CHECKING:
    from services.router.settings import Settings
    from shared.postgres import Database


class RewardStore:
    """Reads rewards of answers."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._reads = database.for_requests(settings.results_seconds)

    async def of(
        self,
        tenant: str,
        event: str,
        ids: Collection[str],
        subjects: Collection[str],
        since: datetime,
    ) -> dict[str, set[str]]:
        """Return the items with an event of a type that names the answer, by the id of the answer.

        `subjects` are the users and sessions of the answers, the first of which was given at `since`.
        """
        rows = await self._reads.fetch(
            *SQL.rewarded_items(tenant=tenant, event=event, ids=[*ids], subjects=[*subjects], since=since)
        )
        rewards: dict[str, set[str]] = {}
        for row in rows:
            rewards.setdefault(row["recommendation_id"], set()).add(row["item_id"])
        return rewards
