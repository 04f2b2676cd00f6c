"""Erasures that shop systems request: sync stores them, and a data deletion job of the engine does each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from services.engine.domain.state import DatasetGroup
from services.engine.personalize import data_deletion_jobs
from services.engine.personalize.context import OperationContext
from services.engine.personalize.outbox_publisher import OutboxPublisher
from services.engine.store import resources
from services.engine.store.statements import SQL
from shared.aws import PageTokens, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.engine.settings import Settings
    from shared.postgres import Database

EVERY_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PrivacyRequests:
    """Begins the data deletion jobs of requests. Several workers at once begin none twice."""

    database: Database
    settings: Settings

    async def begin_due(self) -> list[str]:
        """Queue a job for each request without one; return their names.

        One that can't begin, such as beyond the limit of pending jobs, is tried again in the next round.
        """
        names = []
        for request in await self.database.fetch(*SQL.privacy_requests_due()):
            try:
                name = await self._begin(request)
            except WireError as error:
                log.warning("engine.privacy_request_waits", tenant=request["tenant"], error=error.message)
                continue
            if name is not None:
                names.append(name)
        return names

    async def _begin(self, request: Mapping[str, Any]) -> str | None:
        """Create the job `privacy-<request>`; return None if another worker has."""
        name = f"privacy-{request['request_id']}"
        key = {"tenant": request["tenant"], "request_id": request["request_id"]}
        async with self.database.transaction() as connection:
            row = await resources.by_id(connection, request["group_id"])
            if row is None:
                return None
            # The row first: a second worker waits here, and then finds it.
            if await connection.fetchval(*SQL.add_privacy_job(**key)) is None:
                return None
            account = resources.in_account_of(connection, row)
            context = OperationContext(account, self.settings, PageTokens(), OutboxPublisher(connection))
            await data_deletion_jobs.begin(context, DatasetGroup.of(row), name, request["user_ids"])
        log.info("engine.privacy_request_begun", tenant=request["tenant"], job=name)
        return name
