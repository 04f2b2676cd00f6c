"""What metric attributions have counted, and the events that they count."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.engine.domain.attribution import BUCKET_SECONDS, Key
from services.engine.store.resources import from_row
from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from services.engine.domain.resources import Resource
    from shared.postgres import Connection, Database

_ROWS_AT_ONCE = 5_000
_LATEST_TO_COMMIT = timedelta(minutes=30)
"""Rows bear the time at which their transaction began, and are seen when it has ended."""


async def list_active(database: Database) -> list[Resource]:
    """Every metric attribution."""
    rows = await database.fetch(*SQL.attributions())
    return [found for row in rows if (found := from_row(row))]


async def lock_last_scan(connection: Connection, found: Resource) -> datetime | None:
    """When work for a metric attribution was looked for last; None while another worker does that.

    Until the transaction ends no other worker looks. The resource itself is not held: looking may take long.
    """
    since = found.created_at
    await connection.execute(*SQL.first_look(attribution=found.id, since=since))
    looked_at: datetime | None = await connection.fetchval(*SQL.held_look(attribution=found.id))
    return looked_at


async def changed_buckets(
    connection: Connection, found: Resource, types: Sequence[str], looked_at: datetime
) -> list[tuple[datetime, int]]:
    """Closed buckets in which there are other events than were counted: their beginnings, and how many.

    Looks at what was stored since the last time, and half an hour before.
    """
    await connection.execute(*SQL.without_jit())
    rows = await connection.fetch(
        *SQL.buckets_to_count(
            attribution=found.id,
            tenant=found.owner,
            types=list(types),
            since=found.created_at,
            stored_since=looked_at - _LATEST_TO_COMMIT,
        )
    )
    await connection.execute(*SQL.looked_for_buckets(attribution=found.id))
    return [(row["bucket"], row["events"]) for row in rows]


async def events(
    database: Database, found: Resource, bucket: datetime, types: Sequence[str]
) -> AsyncIterator[list[Any]]:
    """The events of a bucket, some thousand at a time."""
    text, *arguments = SQL.attributed_events(
        tenant=found.owner,
        begin=max(bucket, found.created_at),
        end=bucket + timedelta(seconds=BUCKET_SECONDS),
        types=list(types),
    )
    async with database.transaction("repeatable_read", readonly=True) as connection:
        cursor = await connection.cursor(text, *arguments)
        while rows := await cursor.fetch(_ROWS_AT_ONCE):
            yield rows


async def sources(database: Database, attribution: int) -> set[str]:
    """The sources that were met so far."""
    return {row["source"] for row in await database.fetch(*SQL.attribution_sources(attribution=attribution))}


async def recommendation_sources(database: Database, tenant: str) -> list[tuple[str, str]]:
    """The campaigns and recommenders of a tenant: names and ARNs."""
    return [(row["name"], row["arn"]) for row in await database.fetch(*SQL.recommending(tenant=tenant))]


async def load_bucket(
    connection: Connection | Database, attribution: int, bucket: datetime
) -> tuple[int | None, dict[Key, float]]:
    """How many events of a bucket were counted (None: it never was), and what they added up to."""
    known = await connection.fetchval(*SQL.counted_bucket(attribution=attribution, bucket=bucket))
    rows = await connection.fetch(*SQL.attribution_values(attribution=attribution, bucket=bucket))
    return known, {(row["metric"], row["source"]): row["value"] for row in rows}


async def save_bucket(
    connection: Connection, attribution: int, bucket: datetime, events: int, values: Mapping[Key, float]
) -> None:
    """Keep what a bucket adds up to."""
    await connection.execute(*SQL.save_bucket(attribution=attribution, bucket=bucket, events=events))
    keys = list(values)
    await connection.execute(
        *SQL.save_attribution_values(
            attribution=attribution,
            bucket=bucket,
            metrics=[metric for metric, _ in keys],
            sources=[source for _, source in keys],
            values=[values[key] for key in keys],
        )
    )


async def forget(database: Database, hours: float) -> None:
    """Forget what can't change any more, and what is to be tried once more.

    The first are buckets of which no event is counted now, and their jobs; the second are counts that
    failed, since the place of their files may be there by now. The file of an import is tried again for
    so many hours, in which nobody clears its rows away.
    """
    await database.execute(*SQL.forget_buckets())
    await database.execute(*SQL.requeue_failed_imports(hours=hours))
    await database.execute(*SQL.forget_failed_counts())
    await database.execute(*SQL.forget_attribution_jobs())
