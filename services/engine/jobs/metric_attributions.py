"""Jobs that compute attribution metrics: of a quarter of an hour of events, or of an import.

See docs/decisions/0034-metric-attribution.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.engine import metrics
from services.engine.computations import attribution_report, import_attribution
from services.engine.computations.attribution_report import Destination, Items
from services.engine.computations.table import ATTRIBUTION_REPORT, IMPORT_ATTRIBUTION
from services.engine.domain import locations, schemas
from services.engine.domain.attribution import Key, Metric, MetricAggregator, metric_sums
from services.engine.domain.resources import Status, resource_path
from services.engine.domain.state import Dataset, MetricAttribution, ResourceState, Schema
from services.engine.jobs import received_rows
from services.engine.jobs.resource_job import ResourceJob
from services.engine.jobs.workspaces import workspace as make_workspace
from services.engine.store import attributions, datasets, resources
from shared import jobs
from shared.aws.personalize.recommendation_ids import source_among
from shared.errors import Transient

if TYPE_CHECKING:
    from pathlib import Path

    from services.engine.store.buckets import TenantStore
    from shared.jobs import Job
    from shared.postgres import Connection

KIND = "attribution"
MAX_IMPORT_AGE_DAYS = 14
"""Older interactions of an import are not attributed: a limit of Amazon Personalize."""


def parse_metrics(attribution: MetricAttribution) -> tuple[Metric, ...]:
    """Return the metrics of a metric attribution."""
    return tuple(
        Metric.parse(each.metric_name, each.event_type, each.expression) for each in attribution.facts.metrics
    )


class MetricAttributionCount(ResourceJob[MetricAttribution]):
    """The job that counts one bucket of events, or one import, for a metric attribution."""

    @property
    def resource_type(self) -> type[MetricAttribution]:
        """Return the type of the job's resource."""
        return MetricAttribution

    async def run(self, job: Job) -> None:
        """Count a bucket or an import, and report the increase since the last count.

        Raises Transient when another count of the same bucket ended first.
        """
        row = await resources.by_id(self.database, job.payload["resource"])
        if row is None:
            return
        attribution = MetricAttribution.of(row)
        if "import" in job.payload:
            await self._count_import(job, attribution)
        else:
            await self._count_bucket(job, attribution)

    async def failed(self, job: Job, sentence: str) -> None:
        """Show the reason on the metric attribution; the counts of other buckets go on."""
        async with self.database.transaction() as connection:
            row = await resources.by_id(connection, job.payload["resource"])
            if row is not None:
                store = resources.in_account_of(connection, row)
                locked = await store.get(row.path, lock=True)
                if locked is not None and locked.id == row.id:
                    await store.set_status(locked, Status(locked.status), sentence)
        metrics.FAILED_JOBS.labels(job.kind).inc()

    async def _count_bucket(self, job: Job, attribution: MetricAttribution) -> None:
        """Count a bucket from scratch: however often that is done, each event counts once."""
        bucket = datetime.fromtimestamp(job.payload["bucket"], UTC)
        counted_before, reported = await attributions.load_bucket(self.database, attribution.id, bucket)
        aggregator = await self._aggregated(attribution, bucket)
        sums = list(metric_sums(aggregator, reported))
        tenant_store = await self._authorize_output(attribution)
        with make_workspace(self.settings.work_folder, job) as workspace:
            spec = await self._report_spec(job, attribution, sums, workspace)
            report = await self._compute(job, ATTRIBUTION_REPORT, spec, workspace, tenant_store)
        keys: list[Key] = [(each["metric"], each["source"]) for each in sums]
        values = dict(zip(keys, report.values, strict=True))
        async with self.database.transaction() as connection:
            locked = await _lock(connection, attribution)
            if locked is None:
                return
            if (await attributions.load_bucket(connection, attribution.id, bucket))[0] != counted_before:
                # The report has the increase since `counted_before`: a retry writes it again.
                raise Transient("Another count of the same events ended first.")
            await attributions.save_bucket(connection, attribution.id, bucket, aggregator.events, values)
            await _clear_failure(connection, locked)
        for each, value in zip(sums, report.values, strict=True):
            labels = attribution.owner, each["metric"], each["event_type"], each["source"]
            metrics.ATTRIBUTED.labels(*labels).inc(max(value - each["reported"], 0.0))

    async def _aggregated(self, attribution: MetricAttribution, bucket: datetime) -> MetricAggregator:
        """Count the events of a bucket."""
        sources = await attributions.sources(self.database, attribution.id)
        origins = await attributions.recommendation_sources(self.database, attribution.owner)
        aggregator = MetricAggregator(
            parse_metrics(attribution), sources, source_among(origins, attribution.owner)
        )
        types = sorted({metric.canonical for metric in aggregator.metrics})
        async for rows in attributions.events(self.database, attribution, bucket, types):
            aggregator.add(rows)
        return aggregator

    async def _report_spec(
        self, job: Job, attribution: MetricAttribution, sums: list[dict[str, Any]], workspace: Path
    ) -> attribution_report.Spec:
        item_ids = {item for each in sums if each["column"] for item in each["items"]}
        items = await self._items(attribution, workspace / "received.parquet", sorted(item_ids))
        name = f"PutEvents - {job.payload['bucket']}-{job.payload['events']}"
        return attribution_report.Spec(
            job.payload["bucket"], sums, items, _destination(attribution, name), is_retry=job.attempt > 1
        )

    async def _count_import(self, job: Job, attribution: MetricAttribution) -> None:
        """Write the report of an import; a retry overwrites it."""
        tenant_store = await self._authorize_output(attribution)
        since = max(attribution.created_at, datetime.now(UTC) - timedelta(days=MAX_IMPORT_AGE_DAYS))
        with make_workspace(self.settings.work_folder, job) as workspace:
            items = await self._items(attribution, workspace / "received.parquet")
            spec = import_attribution.Spec(
                attribution.owner,
                job.payload["rows"],
                math.ceil(since.timestamp()),
                [(each.metric_name, each.event_type, each.expression) for each in attribution.facts.metrics],
                sorted(await attributions.sources(self.database, attribution.id)),
                await attributions.recommendation_sources(self.database, attribution.owner),
                items,
                _destination(attribution, f"BULK - {job.payload['began']}-{job.payload['import']}"),
            )
            await self._compute(job, IMPORT_ATTRIBUTION, spec, workspace, tenant_store)
        async with self.database.transaction() as connection:
            locked = await _lock(connection, attribution)
            if locked is not None:
                await _clear_failure(connection, locked)

    async def _authorize_output(self, attribution: MetricAttribution) -> TenantStore:
        """Return what the tenant may access; Permanent when it may no longer write to the destination."""
        destination = _destination(attribution, "")
        if destination.bucket is None:
            return await self._authorize(attribution)
        location = locations.Location(destination.bucket, destination.key)
        return await self._authorize(attribution, writes=[(location, locations.INVALID_OUTPUT_PATH)])

    async def _items(self, attribution: MetricAttribution, path: Path, ids: list[str] | None = None) -> Items:
        """Return the items of the group, and write those that were put to `path`; with `ids` only these."""
        if ids is not None and not ids:
            return Items([], None)
        store = resources.in_account_of(self.database, attribution)
        for dataset in await store.list_children(Dataset, attribution.parent or ""):
            if dataset.document.dataset_type != "ITEMS":
                continue
            parts = [part.key for part in await datasets.parts(self.database, dataset.id)]
            schema = await store.load(Schema, resource_path(dataset.document.schema_arn))
            if schema is None:
                return Items(parts, None)
            columns = schemas.parse(schema.document.avro)
            has_received = await received_rows.write_dataset_file(
                self.database, attribution.owner, "ITEMS", columns, path, ids
            )
            return Items(parts, str(path) if has_received else None)
        return Items([], None)


async def _lock(connection: Connection, attribution: MetricAttribution) -> MetricAttribution | None:
    """Lock a metric attribution and return its current state; None when it was deleted or replaced."""
    store = resources.in_account_of(connection, attribution)
    locked = await store.load(MetricAttribution, attribution.path, lock=True)
    return locked if locked is not None and locked.id == attribution.id else None


async def _clear_failure(connection: Connection, attribution: MetricAttribution) -> None:
    """Remove the reason of an earlier failure."""
    if attribution.failure_reason is not None:
        await resources.in_account_of(connection, attribution).save(attribution)


def _destination(attribution: MetricAttribution, name: str) -> Destination:
    """Return where a report goes; `name` says what is counted, and when it was."""
    file_name = f"AggregatedAttributionMetrics - {name}.csv"
    destination = attribution.document.metrics_output_config.s3_data_destination
    if destination is None:
        return Destination(None, "", file_name)
    output = locations.parse(destination.path, locations.INVALID_OUTPUT_PATH)
    return Destination(output.bucket, output.key, file_name)


async def enqueue_import(connection: Connection, ended: ResourceState, group: str, keys: list[str]) -> None:
    """Queue the count of an import's objects for the metric attribution of its group, once per import."""
    store = resources.in_account_of(connection, ended)
    for attribution in await store.list_readable_children(MetricAttribution, group):
        payload = {"resource": attribution.id, "import": ended.id, "rows": keys}
        payload["began"] = int(ended.created_at.timestamp())
        key = f"{attribution.id}:import:{ended.id}"
        await jobs.enqueue(connection, KIND, key, payload, tenant=attribution.owner)
