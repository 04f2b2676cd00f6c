"""What the engine does with the receipts of erasures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.engine.store import erasures
from shared.events import UserErased
from shared.postgres import Database


@dataclass(frozen=True, slots=True)
class Handlers:
    """Keeps what services confirm; the job of the deletion looks at it."""

    database: Database

    async def users_erased(self, receipts: Sequence[UserErased]) -> None:
        """Keep the receipts; a repetition changes nothing."""
        await erasures.confirm(self.database, receipts)
