"""The Kafka handlers of the engine: receipts of erasures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.engine.store import erasures
from shared.events import UserErased
from shared.postgres import Database


@dataclass(frozen=True, slots=True)
class Handlers:
    """Saves what services have erased, which the job of a data deletion then reads."""

    database: Database

    async def users_erased(self, receipts: Sequence[UserErased]) -> None:
        """Save receipts; a repeated one changes nothing."""
        await erasures.confirm(self.database, receipts)
