"""The sums of metric attributions, and the events that they count."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.engine.domain.attribution import BUCKET_SECONDS, Key
from services.engine.store.rows import from_row
from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from services.engine.domain.resources import Resource
    from services.engine.domain.state import MetricAttribution
    from shared.postgres import Connection, Database

_BATCH_ROWS = 5_000
_LATEST_TO_COMMIT = timedelta(minutes=30)
"""The longest transaction that stores events. Rows have the time at which their transaction began, and are
visible only after it has ended."""


async def list_active(database: Database) -> list[Resource]:
    """Return the rows of all metric attributions: an unreadable one must not delay the counts of others."""
    rows = await database.fetch(*SQL.attributions())
    return [attribution for row in rows if (attribution := from_row(row))]


async def lock_last_scan(connection: Connection, attribution: MetricAttribution) -> datetime | None:
    """Lock the scan of a metric attribution, and return the time of the last one.

    None if another worker has it. The lock lasts until the transaction ends. The row of the resource is not
    locked, because a scan may take long.
    """
    since = attribution.created_at
    await connection.execute(*SQL.add_scan(attribution=attribution.id, since=since))
    looked_at: datetime | None = await connection.fetchval(*SQL.lock_scan(attribution=attribution.id))
    return looked_at


async def changed_buckets(
    connection: Connection, attribution: MetricAttribution, types: Sequence[str], looked_at: datetime
) -> list[tuple[datetime, int]]:
    """Return the beginnings and the numbers of events of closed buckets whose number of events has changed.

    Only events that were stored since `looked_at`, or half an hour before, are considered.
    """
    await connection.execute(*SQL.without_jit())
    rows = await connection.fetch(
        *SQL.buckets_to_count(
            attribution=attribution.id,
            tenant=attribution.owner,
            types=list(types),
            since=attribution.created_at,
            stored_since=looked_at - _LATEST_TO_COMMIT,
        )
    )
    await connection.execute(*SQL.finish_scan(attribution=attribution.id))
    return [(row["bucket"], row["events"]) for row in rows]


async def events(
    database: Database, attribution: MetricAttribution, bucket: datetime, types: Sequence[str]
) -> AsyncIterator[list[Any]]:
    """Yield the events of a bucket in batches of 5,000."""
    text, *arguments = SQL.attributed_events(
        tenant=attribution.owner,
        begin=max(bucket, attribution.created_at),
        end=bucket + timedelta(seconds=BUCKET_SECONDS),
        types=list(types),
    )
    async with database.transaction("repeatable_read", readonly=True) as connection:
        cursor = await connection.cursor(text, *arguments)
        while rows := await cursor.fetch(_BATCH_ROWS):
            yield rows


async def sources(database: Database, attribution: int) -> set[str]:
    """Return the known sources."""
    return {row["source"] for row in await database.fetch(*SQL.attribution_sources(attribution=attribution))}


async def recommendation_sources(database: Database, tenant: str) -> list[tuple[str, str]]:
    """Return the campaigns and recommenders of a tenant: their names among campaigns, and their ARNs."""
    return [
        (row["name"], row["arn"]) for row in await database.fetch(*SQL.recommendation_sources(tenant=tenant))
    ]


async def load_bucket(
    connection: Connection | Database, attribution: int, bucket: datetime
) -> tuple[int | None, dict[Key, float]]:
    """Return the number of counted events of a bucket, None if it was never counted, and its sums."""
    counted = await connection.fetchval(*SQL.counted_bucket(attribution=attribution, bucket=bucket))
    rows = await connection.fetch(*SQL.attribution_values(attribution=attribution, bucket=bucket))
    return counted, {(row["metric"], row["source"]): row["value"] for row in rows}


async def save_bucket(
    connection: Connection, attribution: int, bucket: datetime, events: int, values: Mapping[Key, float]
) -> None:
    """Save the number of events and the sums of a bucket."""
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
    """Delete what no longer changes, and retry what failed.

    Old buckets and their jobs are deleted. Failed counts are queued again, because the location of their
    files may be usable by now. Files of imports are retried for `hours`, during which the imported rows
    exist.
    """
    await database.execute(*SQL.forget_buckets())
    await database.execute(*SQL.requeue_failed_imports(hours=hours))
    await database.execute(*SQL.forget_failed_counts())
    await database.execute(*SQL.forget_attribution_jobs())
