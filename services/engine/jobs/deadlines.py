"""Gauges of what has to be renewed in time: keys that expire, and models that are served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.engine.metrics import KEY_EXPIRES, MODEL_TRAINED
from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Database

INTERVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Reads the times of keys and models. Every worker shows all of them."""

    database: Database

    async def run(self) -> None:
        """Set the gauges; keys and campaigns that are gone are removed."""
        keys = await self.database.fetch(*SQL.expiring_keys())
        models = await self.database.fetch(*SQL.served_models())
        # Nothing is awaited from here on, so that no scrape sees a part.
        KEY_EXPIRES.clear()
        MODEL_TRAINED.clear()
        for row in keys:
            KEY_EXPIRES.labels(row["tenant"], row["id"]).set(row["expires_at"].timestamp())
        for row in models:
            MODEL_TRAINED.labels(row["tenant"], row["name"]).set(row["trained_at"].timestamp())
