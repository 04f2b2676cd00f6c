"""The handlers of the worker and a running experiment, without Kafka: events at chosen times."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.router.domain.experiments import Definition
from services.router.handlers import Handlers
from services.router.store.bandit_sums import BanditStore
from services.router.store.change_log import Author
from services.router.store.erasures import Erasures
from services.router.store.experiments import Experiments
from services.router.store.interleaved_answers import InterleavedAnswers
from services.router.store.metric_sums import MetricStore
from services.router.store.outcome_counts import OutcomeCounts
from services.router.store.outcomes import OutcomeStore
from services.router.store.results import DesignStores, StoredResults
from services.router.store.running_experiments import RunningExperiments
from services.router.store.shadows import ShadowStore
from services.router.store.windows import WindowStore
from shared.events import InteractionRecorded, VariantExposed
from shared.events.topics import ERASURE_RECEIPTS
from shared.experiments import Variant
from shared.kafka import Publisher
from shared.postgres import Database

AUTHOR = Author("test")


@dataclass
class Shop:
    """The handlers of the worker and a running experiment, with times in seconds since its start."""

    tenant: str
    handlers: Handlers
    experiments: Experiments
    counts: OutcomeCounts
    began: datetime

    async def expose(
        self,
        unit: str,
        at: float,
        variant: str = "a",
        version: int = 1,
        experiment: str = "same",
        *,
        differs: bool = False,
        **facts: Any,
    ) -> None:
        await self.handlers.variants_exposed(
            [
                VariantExposed(
                    event_id=uuid.uuid4().hex,
                    tenant=self.tenant,
                    occurred_at=self.at(at),
                    experiment=experiment,
                    experiment_version=version,
                    variant=variant,
                    unit=unit,
                    surface="recommendations",
                    differs=differs,
                    **facts,
                )
            ]
        )

    async def did(self, *events: InteractionRecorded) -> None:
        await self.handlers.interactions_recorded(events)

    def event(
        self, event_type: str, at: float, user: str | None = None, session: str | None = None, **fields: Any
    ) -> InteractionRecorded:
        return InteractionRecorded(
            **{"event_id": uuid.uuid4().hex, "item_id": "i1", "value": 2.5} | fields,
            tenant=self.tenant,
            occurred_at=self.at(at),
            received_at=self.at(at),
            user_id=user,
            session_id=session,
            event_type=event_type,
        )

    def at(self, seconds: float) -> datetime:
        return self.began + timedelta(seconds=seconds)

    async def purchases(self) -> dict[str, tuple[int, int, float | None]]:
        """Return, by variant, the purchases, the units that purchased, and the sum of the values."""
        counts = await self.counts.of(await self.experiments.get(self.tenant, "same"))
        bought = {name: types["purchase"] for name, types in counts.outcomes.items() if "purchase" in types}
        return {name: (each.events, each.units, each.value) for name, each in bought.items()}

    async def crossed(self) -> int:
        return (await self.counts.of(await self.experiments.get(self.tenant, "same"))).crossed


@asynccontextmanager
async def counting(world: Any, traffic: float = 1.0, **fields: Any) -> AsyncIterator[Shop]:
    """Yield a shop with a running experiment that started ten minutes ago, at a whole second."""
    database = Database(world.settings().postgres, "router")
    publisher = Publisher(world.kafka, "router", [ERASURE_RECEIPTS], essential=False)
    async with AsyncExitStack() as parts:
        for part in (database, publisher):
            await part.start()
            parts.push_async_callback(part.stop)
        experiments = Experiments(database, world.settings())
        variants = (Variant(name="a"), Variant(name="b"))
        definition = Definition(
            name="same", surface="recommendations", variants=variants, traffic=traffic, salt="salt", **fields
        )
        await experiments.define(world.tenant, definition, AUTHOR)
        await experiments.change(world.tenant, "same", "start", AUTHOR)
        began = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
        await world.sql("UPDATE router.experiments SET started_at = $1", (began,))
        handlers = Handlers(
            OutcomeStore(database),
            RunningExperiments(experiments, 60),
            Erasures(database, publisher),
            InterleavedAnswers(database, world.settings()),
            WindowStore(database, world.settings()),
            ShadowStore(database, world.settings()),
        )
        counts = OutcomeCounts(database, world.settings())
        yield Shop(world.tenant, handlers, experiments, counts, began)


def stored_results(world: Any, database: Database) -> StoredResults:
    """Return the results as the worker counts them."""
    settings = world.settings()
    designs = DesignStores(
        InterleavedAnswers(database, settings),
        BanditStore(database, settings),
        WindowStore(database, settings),
        ShadowStore(database, settings),
    )
    return StoredResults(database, MetricStore(database, 60.0), designs)
