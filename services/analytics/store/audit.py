"""Compare figures with a count of all facts, and correct them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from services.analytics.domain.figures import COUNTS, Bucket, Changes, add_answer, add_bits, day_of, hour_of
from services.analytics.store.answers import answer_of
from services.analytics.store.changes import write_changes
from services.analytics.store.purchases import Attribution, attribute
from services.analytics.store.sql import SQL

if TYPE_CHECKING:
    from services.analytics.settings import Settings
    from shared.postgres import Connection, Database

_PAGE = 2_000
_DAY = timedelta(days=1)


class Difference(NamedTuple):
    """A figure or measure that is not what the facts say."""

    tenant: str
    begins_at: datetime
    name: str
    counted: Decimal
    stored: Decimal


class Audit:
    """Counts the facts of a tenant from the beginning, and compares."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._rule = Attribution(settings.attribution_window, settings.attribution_touch)

    async def tenants(self) -> list[str]:
        """Return the tenants that have figures."""
        return [row["tenant"] for row in await self._database.fetch(*SQL.tenants())]

    async def check(self, tenant: str, *, repair: bool) -> list[Difference]:
        """Return the differences of the days whose facts are all kept; with `repair`, correct the figures."""
        async with self._database.transaction() as connection:
            now: datetime = await connection.fetchval(*SQL.lock_tenants(tenants=[tenant]))
            begin = day_of(now - self._settings.facts_kept) + _DAY
            attributed = await self._attribute(connection, tenant, begin)
            expected = await _count(connection, tenant, begin)
            stored = await _stored(connection, tenant, begin)
            differences = [*attributed, *_differences(tenant, expected, stored)]
            differences += await _day_differences(connection, tenant, begin)
            if repair:
                await write_changes(connection, _missing(expected, stored))
            else:
                # The attribution above was a trial.
                await connection.execute("ROLLBACK TO SAVEPOINT audit")
        return differences

    async def _attribute(self, connection: Connection, tenant: str, begin: datetime) -> list[Difference]:
        """Attribute all purchases anew, after a savepoint; return a difference if any changes."""
        await connection.execute("SAVEPOINT audit")
        rows = await connection.fetch(*SQL.purchases_of_tenant(tenant=tenant, begin=begin))
        keys = {(tenant, row["event_id"]) for row in rows}
        changed = await attribute(connection, keys, self._rule, Changes())
        if not changed:
            return []
        return [Difference(tenant, begin, "attributions", Decimal(len(keys)), Decimal(len(keys) - changed))]


async def _count(connection: Connection, tenant: str, begin: datetime) -> Changes:
    """Return the figures and measures that follow from the facts since a time."""
    counted = Changes()
    async for row in connection.cursor(*SQL.servings_of_tenant(tenant=tenant, begin=begin), prefetch=_PAGE):
        answer = answer_of(row)
        add_answer(counted, answer)
        add_bits(counted, answer._replace(seen=0, clicked=0, converted=0), answer)
    async for row in connection.cursor(*SQL.purchases_of_tenant(tenant=tenant, begin=begin), prefetch=_PAGE):
        hour = hour_of(row["occurred_at"])
        amounts = {"purchases": Decimal(1), "units": row["units"], "revenue": row["revenue"]}
        for name, amount in amounts.items():
            counted.measure(tenant, hour, name, amount)
            for series_id in (row["attributed_series"], row["attributed_item_series"]):
                if series_id is not None:
                    counted.add(Bucket(tenant, hour, series_id), name, amount)
    since = {"tenant": tenant, "begin": begin}
    for row in await connection.fetch(*SQL.orders_of_tenant(**since)):
        counted.measure(tenant, row["hour"], "orders", row["rows"])
    for row in await connection.fetch(*SQL.events_of_tenant(**since)):
        counted.measure(tenant, row["hour"], f"events:{row['name']}", row["rows"])
    for row in await connection.fetch(*SQL.visitors_of_tenant(**since)):
        counted.measure_day(tenant, row["day"], "visitors", row["rows"])
        counted.measure_day(tenant, row["day"], "answered_visitors", row["answered"])
    for row in await connection.fetch(*SQL.answered_items_of_tenant(**since)):
        counted.measure_day(tenant, row["day"], "answered_items", row["rows"])
    return counted


_OF_DAYS = ("visitors", "answered_visitors", "answered_items")


async def _stored(connection: Connection, tenant: str, begin: datetime) -> Changes:
    """Return the figures and measures of hours, and those that only days have, as they are stored."""
    stored = Changes()
    since = {"tenant": tenant, "begin": begin}
    for row in await connection.fetch(*SQL.stored_figures(**since, grain="hour")):
        bucket = Bucket(tenant, row["begins_at"], row["series_id"])
        for name in COUNTS:
            stored.add(bucket, name, Decimal(row[name]))
    latest = {"tenant": tenant, "begin": begin, "end": begin + timedelta(days=36_500)}
    for row in await connection.fetch(*SQL.measures_of_tenant(**latest, grain="hour")):
        stored.measure(tenant, row["begins_at"], row["name"], row["value"])
    for row in await connection.fetch(*SQL.measures_of_tenant(**latest, grain="day")):
        if row["name"] in _OF_DAYS:
            stored.days[tenant, row["begins_at"], row["name"]] = row["value"]
    return stored


def _missing(expected: Changes, stored: Changes) -> Changes:
    """Return what must be added to what is stored."""
    missing = Changes()
    for changes, sign in ((expected, 1), (stored, -1)):
        for bucket, amounts in changes.figures.items():
            for name, amount in amounts.items():
                missing.add(bucket, name, sign * amount)
        for (tenant, hour, name), amount in changes.measures.items():
            missing.measure(tenant, hour, name, sign * amount)
        for key, amount in changes.days.items():
            missing.days[key] = missing.days.get(key, Decimal(0)) + sign * amount
    return missing


def _differences(tenant: str, expected: Changes, stored: Changes) -> Iterator[Difference]:
    missing = _missing(expected, stored)
    for bucket, amounts in sorted(missing.figures.items()):
        for name, amount in amounts.items():
            if amount:
                value = stored.figures.get(bucket, {}).get(name, Decimal(0))
                yield Difference(
                    tenant, bucket.hour, f"{name} of series {bucket.series_id}", value + amount, value
                )
    for kind, of_stored in ((missing.measures, stored.measures), (missing.days, stored.days)):
        for key, amount in sorted(kind.items()):
            if amount:
                value = of_stored.get(key, Decimal(0))
                yield Difference(tenant, key[1], key[2], value + amount, value)


async def _day_differences(connection: Connection, tenant: str, begin: datetime) -> list[Difference]:
    """Return the figures of days that are not the sums of their hours."""
    rows = await connection.fetch(*SQL.days_unlike_hours(tenant=tenant, begin=begin))
    return [Difference(tenant, row["begins_at"], row["name"], row["counted"], row["stored"]) for row in rows]
