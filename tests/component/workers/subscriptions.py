"""Every subscription of a worker: its events, and what its service stores of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from prometheus_client import REGISTRY

from services.analytics.domain.facts import digest
from services.analytics.settings import Settings
from services.analytics.store import Lake
from shared.events import (
    Event,
    ItemPut,
    TrainingRequested,
    UserChanged,
)
from shared.events.topics import (
    BATCHES,
    ERASURES,
    EXPOSURES,
    INTERACTIONS,
    ORDERS,
    PUTS,
    SERVINGS,
    TRAINING_REQUESTS,
    USERS,
    Topic,
)
from tests.component.workers.events import (
    World,
    batch,
    common,
    erasure,
    exposure,
    interaction,
    order,
    serving,
)
from tests.support.kafka import raw_records


@dataclass(frozen=True)
class Case:
    """One subscription: its events, which are one thing each, and the names of those that are stored."""

    service: str
    topic: Topic
    group: str
    make: Callable[[World, int], Event]
    name: str
    """The field by which what is stored names an event."""

    stored: Callable[[World], Awaitable[set[str]]]
    waits: bool = True
    """Whether its dependency is what the test stops."""

    @property
    def label(self) -> dict[str, str]:
        """Labels of its metrics."""
        return {"topic": self.topic.name, "group": self.group}

    def retries(self) -> float:
        """How often its handler was called again."""
        return REGISTRY.get_sample_value("endcap_kafka_retries_total", self.label) or 0.0


def answers(table: str) -> Callable[[World], Awaitable[set[str]]]:
    """Names of the events whose answers are in a table; an answer is named by its item's number."""
    name = "'c' || substr(item_ids[1], 2) || '-' || tenant"
    return lambda world: world.column(f"SELECT {name} FROM {table} WHERE tenant = $1")


def lake_rows(name: str, field: str) -> Callable[[World], Awaitable[set[str]]]:
    """Names of the events in a table of the event lake; a serving is named by its answer's number."""

    async def stored(world: World) -> set[str]:
        target = await asyncio.to_thread(Lake(Settings().s3).open, world.tenant, name)
        if target is None:
            return set()
        column = "recommendation_id" if name == "servings" else field
        names = target.to_pyarrow_table(columns=[column])[column].to_pylist()
        return {str(each).replace("RID-", "c") for each in names}

    return stored


async def analytics_events(world: World) -> set[str]:
    """Events whose digests are stored, the purchases of orders among them."""
    keys = await world.column("SELECT key FROM analytics.counted_events WHERE tenant = $1")
    events = [orjson.loads(each.value or b"{}") for each in await raw_records(world.kafka, INTERACTIONS.name)]
    names = {event["event_id"] for event in events if event.get("tenant") == world.tenant}
    return {name for name in names if str(digest(world.tenant, name)) in keys}


async def erased_by_trainer(world: World) -> set[str]:
    """Users whose request is kept, or whose erasure is confirmed already."""
    return await world.column("SELECT user_id FROM trainer.erasures WHERE tenant = $1") | (
        await world.column(
            "SELECT payload::json ->> 'user_id' FROM trainer.outbox "
            "WHERE tenant = $1 AND aggregatetype = 'erasure-receipts-v1'"
        )
        | await world.receipts("trainer")
    )


CASES = (
    Case(
        "tracker", INTERACTIONS, "tracker-store", interaction, "event_id",
        lambda world: world.column("SELECT event_id FROM tracker.interactions WHERE tenant = $1"),
    ),
    Case(
        "tracker", ORDERS, "tracker-orders", order, "order_id",
        lambda world: world.column(
            "SELECT order_id FROM tracker.interactions WHERE tenant = $1 AND event_type = 'purchase'"
        ),
        waits=False,
    ),
    Case(
        "sync", PUTS, "sync",
        lambda world, n: ItemPut(**common(world, n), item_id=f"i{n}", fields={"name": "tea"}),
        "item_id",
        lambda world: world.column("SELECT item_id FROM sync.items WHERE tenant = $1"),
    ),
    Case(
        "trainer", TRAINING_REQUESTS, "trainer",
        lambda world, n: TrainingRequested(**common(world, n), reason="a test"),
        "event_id",
        lambda world: world.column(
            "SELECT event_id FROM trainer.requests JOIN trainer.runs USING (run) WHERE tenant = $1"
        ),
    ),
    Case(
        "loader", BATCHES, "loader",
        batch,
        "run",
        lambda world: world.column("SELECT generation FROM loader.generations WHERE tenant = $1"),
    ),
    Case(
        "recommender", INTERACTIONS, "recommender", interaction, "user_id",
        lambda world: world.keys("hist"),
    ),
    Case(
        "recommender", USERS, "recommender-users",
        lambda world, n: UserChanged(**common(world, n), user_id=f"u{n}", city="Bonn"),
        "user_id",
        lambda world: world.keys("place"),
    ),
    Case(
        "router", EXPOSURES, "router", exposure, "unit",
        lambda world: world.column("SELECT unit FROM router.exposed_units WHERE tenant = $1"),
    ),
    Case(
        "router", INTERACTIONS, "router", interaction, "user_id",
        lambda world: world.column("SELECT unit FROM router.outcomes WHERE tenant = $1"),
    ),
    Case("router", SERVINGS, "router", serving, "event_id", answers("router.interleaved_answers")),
    Case("analytics", SERVINGS, "analytics", serving, "event_id", answers("analytics.servings")),
    Case(
        "analytics", BATCHES, "analytics", batch, "run",
        lambda world: world.column(
            "SELECT split_part(key, ':', 2) FROM analytics.jobs WHERE tenant = $1 AND key LIKE 'run:%'"
        ),
    ),
    Case(
        "analytics", INTERACTIONS, "analytics", interaction, "event_id",
        analytics_events,
    ),
    *(
        Case("analytics", topic, "analytics-lake", make, field, lake_rows(name, field))
        for name, topic, make, field in (
            ("interactions", INTERACTIONS, interaction, "event_id"),
            ("orders", ORDERS, order, "order_id"),
            ("servings", SERVINGS, serving, "event_id"),
            ("exposures", EXPOSURES, exposure, "unit"),
        )
    ),
    Case(
        "analytics", ERASURES, "analytics", erasure, "user_id",
        lambda world: world.column("SELECT subject FROM analytics.erased_subjects WHERE tenant = $1"),
    ),
    Case(
        "tracker", ERASURES, "tracker-erasures", erasure, "user_id",
        lambda world: world.column("SELECT subject FROM tracker.erased_subjects WHERE tenant = $1"),
    ),
    Case(
        "sync", ERASURES, "sync", erasure, "user_id",
        lambda world: world.column("SELECT user_id FROM sync.erased_users WHERE tenant = $1"),
    ),
    Case("trainer", ERASURES, "trainer", erasure, "user_id", erased_by_trainer),
    Case(
        "loader", ERASURES, "loader", erasure, "user_id",
        lambda world: world.column("SELECT user_id FROM loader.erased_users WHERE tenant = $1"),
    ),
    Case(
        "recommender", ERASURES, "recommender-erasures", erasure, "user_id",
        lambda world: world.receipts("recommender"),
    ),
    Case(
        "router", ERASURES, "router", erasure, "user_id",
        lambda world: world.column("SELECT unit FROM router.erased_units WHERE tenant = $1"),
    ),
)  # fmt: skip
"""Every subscription but two: uploads-v1, whose records are the object store's own, and the engine's, whose
worker also trains."""

EVENTS = {case.topic: case.make for case in CASES}
