"""Read the sums of metrics over people."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple

from services.router.domain.interactions import Cell
from services.router.domain.metric_sums import (
    NOTHING,
    AnswerCounts,
    Bucket,
    EventCounts,
    GroupCount,
    MetricSums,
    People,
    Sums,
)
from services.router.store import SQL
from shared.events.values import LARGEST

if TYPE_CHECKING:
    from datetime import datetime

    from asyncpg import Record

    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metric_sums import GroupKind
    from services.router.domain.metrics import Metric
    from shared.postgres import Database

MAX_CONCURRENT: Final = 2
"""Results that a process reads at the same time, so that they never take all connections of the pool."""
BOT_EVENTS: Final = 500
"""Events on a day above which somebody is no person. Arbitrary: one every 20 seconds for three hours."""


BUCKETS: Final = 256
"""The buckets of `metric_sums` in queries.sql."""


_GROUPS: Final[Mapping[int, GroupKind]] = {-1: "day", -2: "device"}
_EVENTS: Final = -3
"""The number of rows with the events of a variant."""


class _Side(NamedTuple):
    number: int
    side: str
    event: str
    measure: str
    from_days: float | None
    window_days: float | None
    recommended: bool
    quantile: float | None
    has_covariate: bool


class MetricStore:
    """Reads sums from the outcomes that the worker has recorded."""

    def __init__(self, database: Database, seconds: float) -> None:
        """Read for at most `seconds`."""
        self._database = database.for_requests(seconds)
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def sums(
        self, version: StoredVersion, metrics: Sequence[Metric], pre_days: int, *, triggered: bool = False
    ) -> MetricSums:
        """Return the sums of a version's phase, with covariates of the `pre_days` before the exposure.

        `triggered` leaves out people to whom all variants would have answered the same. Raise TimeoutError if
        reading them takes too long.
        """
        async with self._semaphore:
            return await self._read(version, metrics, pre_days, triggered=triggered)

    async def _read(
        self, version: StoredVersion, metrics: Sequence[Metric], pre_days: int, *, triggered: bool
    ) -> MetricSums:
        versions, began_at = await self._phase(version)
        sides = list(_sides(metrics, has_covariate=pre_days > 0))
        numbers, names, events, measures, begins, windows, recommended, quantiles, covariates = _columns(
            sides
        )
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.hash_joins())
            rows = await connection.fetch(
                *SQL.metric_sums(
                    tenant=version.tenant,
                    name=version.name,
                    versions=versions,
                    until=version.disabled_at,
                    triggered=triggered,
                    bot_events=BOT_EVENTS,
                    pre_days=pre_days,
                    largest=LARGEST,
                    numbers=numbers,
                    sides=names,
                    events=events,
                    measures=measures,
                    from_days=begins,
                    window_days=windows,
                    recommended=recommended,
                    quantiles=quantiles,
                    has_covariate=covariates,
                )
            )
            of_phase = {"tenant": version.tenant, "name": version.name, "versions": versions}
            answers = await connection.fetch(*SQL.answers_of_variants(**of_phase, until=version.disabled_at))
        sums = _summed(versions, began_at, version.variants[0].name, rows)
        return sums._replace(answers=[AnswerCounts(*row) for row in answers])

    async def people_of_both(
        self, version: StoredVersion, competitor: StoredVersion
    ) -> dict[tuple[str, str], Cell]:
        """Return the people who are in the phases of two experiments, by the variants of both."""
        versions, _ = await self._phase(version)
        other_versions, _ = await self._phase(competitor)
        async with self._semaphore, self._database.transaction() as connection:
            await connection.execute(*SQL.hash_joins())
            rows = await connection.fetch(
                *SQL.people_of_both(
                    tenant=version.tenant,
                    name=version.name,
                    versions=versions,
                    other=competitor.name,
                    other_versions=other_versions,
                    event=version.measured[0].event,
                )
            )
        return {(row["variant"], row["other_variant"]): Cell(row["people"], row["converted"]) for row in rows}

    async def _phase(self, version: StoredVersion) -> tuple[list[int], datetime | None]:
        """Return the versions of a phase, and when it began."""
        row = await self._database.fetchrow(
            *SQL.versions_of_phase(tenant=version.tenant, name=version.name, phase=version.phase)
        )
        assert row is not None
        return row["versions"] or [version.version], row["began_at"]


def _summed(
    versions: Sequence[int], began_at: datetime | None, control: str, rows: Sequence[Record]
) -> MetricSums:
    """Add the rows of the buckets up; those of the control are kept beside."""
    people: dict[str, People] = {}
    sums: dict[tuple[int, str], Sums] = {}
    units: dict[int, int] = {}
    parts: dict[int, dict[int, Sums]] = {}
    groups: list[GroupCount] = []
    events: list[EventCounts] = []
    for row in rows:
        number, variant = row["number"], row["variant"]
        if number == _EVENTS:
            events.append(EventCounts(variant, row["people"], int(row["y"])))
        elif number < 0:
            groups.append(GroupCount(_GROUPS[number], row["value"], variant, row["people"]))
        elif number == 0:
            counts = People(row["people"], row["crossed"], row["merged"], row["bots"])
            people[variant] = People(*map(add, people.get(variant, People()), counts))
            if variant == control:
                units[row["bucket"]] = row["people"]
        else:
            key, values = (number - 1, variant), (row["y"], row["yy"], row["x"], row["xx"], row["xy"])
            sums[key] = _added(sums.get(key, NOTHING), values)
            if variant == control:
                parts.setdefault(row["bucket"], {})[number - 1] = values
    return MetricSums(
        versions,
        began_at,
        people,
        sums,
        sorted(groups),
        [Bucket(units.get(bucket, 0), parts.get(bucket, {})) for bucket in range(BUCKETS)],
        events=sorted(events),
    )


def _added(first: Sums, second: Sums) -> Sums:
    y, yy, x, xx, xy = map(add, first, second)
    return y, yy, x, xx, xy


def _sides(metrics: Sequence[Metric], *, has_covariate: bool) -> Iterator[_Side]:
    """Yield the amounts that a metric consists of."""
    for number, metric in enumerate(metrics, start=1):
        when = metric.from_days, metric.window_days, metric.recommended_only
        covariate = has_covariate and metric.per is None
        yield _Side(number, "y", metric.event, metric.measure, *when, metric.winsorize, covariate)
        if metric.per is not None:
            per = metric.per
            yield _Side(number, "x", per.event, per.measure, *when, None, has_covariate=False)


def _columns(sides: Iterable[_Side]) -> list[list[object]]:
    return [list(column) for column in zip(*sides, strict=True)]
