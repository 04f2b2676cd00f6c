"""The running experiments in memory: from experiments-v1, and from the router's view beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError

from services.recommender.metrics import RUNNING
from services.recommender.store import SQL
from services.recommender.store.periodic import repeat
from shared.experiments import Experiment

if TYPE_CHECKING:
    from asyncpg import Record

    from shared.events import ExperimentChanged
    from shared.postgres import Database

FIRST_READ_SECONDS = 0.25
"""The longest time that a request waits for the first read; arbitrary, a quick query takes less."""
READ_TIMEOUT_SECONDS = 5.0
UNREAD_POLL_SECONDS = 2.0
"""Seconds between reads of the view until Kafka was read; arbitrary."""

log = structlog.get_logger()


class RunningExperiments:
    """Returns the experiments of a surface from memory. A part.

    Of two states of an experiment the later one counts, so it does not matter which source is read first.
    """

    name = "experiments"

    def __init__(self, database: Database, poll_seconds: float) -> None:
        """Read the view every `poll_seconds` beside the events, and more often until Kafka was read."""
        self._database = database
        self._poll_seconds = poll_seconds
        self._states: dict[tuple[str, str], Experiment] = {}
        self._by_surface: dict[tuple[str, str], tuple[Experiment, ...]] = {}
        self.experimenting: frozenset[str] = frozenset()
        """The tenants that have a running experiment."""
        self.change = 0
        """Grows whenever another state of an experiment is known."""
        self.is_read = False
        """True when the experiments were read, or could not be: then requests do not wait for them."""
        self._first_read = asyncio.Event()
        self._kafka_is_read = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to read the view."""
        self._task = asyncio.create_task(self._poll(), name="experiments")

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Return None: each read has a time limit."""
        return None

    def ready(self) -> str | None:
        """Return None: without experiments requests are answered as usual."""
        return None

    def apply(self, _key: str, changed: ExperimentChanged | None) -> None:
        """Apply a record of experiments-v1; a version that has started is never deleted."""
        if changed is not None:
            self._merge([Experiment.of(changed)])

    def retain(self, _keys: set[str]) -> None:
        """Poll the view less often: experiments-v1 was read completely."""
        self._kafka_is_read = True
        self._end_of_first_read()

    async def first_read(self) -> None:
        """Wait until the view or the topic was read for the first time, or the view could not be."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_READ_SECONDS):
                await self._first_read.wait()
        self._end_of_first_read()

    def on(self, tenant: str, surface: str) -> Sequence[Experiment]:
        """Return the experiments that run on a surface: several only with disjoint segments of a layer."""
        return self._by_surface.get((tenant, surface), ())

    def named(self, tenant: str, name: str) -> Experiment | None:
        """Return the running experiment of a name."""
        state = self._states.get((tenant, name))
        return state if state is not None and state.status == "running" else None

    def tenants(self, surface: str) -> Sequence[str]:
        """Return the tenants that have an experiment on a surface."""
        return [tenant for tenant, on in self._by_surface if on == surface]

    def of(self, tenant: str) -> dict[str, int]:
        """Return the versions of a tenant's running experiments by name."""
        return {
            each.name: each.version
            for running in self._by_surface.values()
            for each in running
            if each.tenant == tenant
        }

    def _merge(self, experiments: Iterable[Experiment]) -> None:
        """Keep the later state of each experiment."""
        for each in experiments:
            before = self._states.get((each.tenant, each.name))
            if before is None or each.order > before.order:
                self._states[each.tenant, each.name] = each
                self.change += 1
                log.info("experiments.changed", tenant=each.tenant, name=each.name, status=each.status)
        running = [each for each in self._states.values() if each.status == "running"]
        # Without disjoint segments two run on a surface only while the end of the earlier one is not known
        # here yet, so the one that started last comes first.
        running.sort(key=lambda each: each.started_at or each.created_at, reverse=True)
        by_surface: dict[tuple[str, str], tuple[Experiment, ...]] = {}
        for each in running:
            key = each.tenant, each.surface
            by_surface[key] = (*by_surface.get(key, ()), each)
        self._by_surface = by_surface
        self.experimenting = frozenset(each.tenant for each in running)
        RUNNING.set(len(running))

    def _end_of_first_read(self) -> None:
        self.is_read = True
        self._first_read.set()

    async def _poll(self) -> None:
        await repeat(self._read_view_and_wait, 0.0)

    async def _read_view_and_wait(self) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                self._merge(_parsed(await self._database.fetch(*SQL.experiments())))
        finally:
            self._end_of_first_read()
        await asyncio.sleep(self._poll_seconds if self._kafka_is_read else UNREAD_POLL_SECONDS)


def _parsed(rows: Iterable[Record]) -> Iterable[Experiment]:
    for row in rows:
        try:
            yield Experiment.model_validate(dict(row))
        except ValidationError as error:
            # An invalid row does not stop the others.
            log.error("experiments.row_invalid", tenant=row["tenant"], name=row["name"], error=str(error))  # noqa: TRY400
