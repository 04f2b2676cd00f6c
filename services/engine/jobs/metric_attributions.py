"""Jobs that count attributed events: a closed quarter of an hour each, as often as it gets other events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.engine import metrics
from services.engine.computations import attribution_report, import_attribution, launcher
from services.engine.computations.attribution_report import Items, Place
from services.engine.domain import locations, schemas
from services.engine.domain.attribution import Key, Metric, Tally, metric_sums
from services.engine.domain.resources import Resource, Type
from services.engine.jobs import received_rows
from services.engine.jobs.resource_job import Runner
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
MOST_DAYS = 14


def metrics_of(found: Resource) -> tuple[Metric, ...]:
    """The metrics of a metric attribution."""
    return tuple(
        Metric.parse(each["metricName"], each["eventType"], each["expression"])
        for each in found.facts["metrics"]
    )


@dataclass(frozen=True, slots=True)
class Attributions(Runner):
    """The job of one bucket of a metric attribution."""

    async def count(self, job: Job) -> None:
        """Count a bucket anew, report what is new, and keep the result: however often, each event once."""
        found = await resources.by_id(self.database, job.payload["resource"])
        if found is None:
            return
        if "import" in job.payload:
            await self._count_import(job, found)
            return
        bucket = datetime.fromtimestamp(job.payload["bucket"], UTC)
        before, reported = await attributions.load_bucket(self.database, found.id, bucket)
        sources = await attributions.sources(self.database, found.id)
        origin = source_among(
            await attributions.recommendation_sources(self.database, found.owner), found.owner
        )
        tally = Tally(metrics_of(found), sources, origin)
        types = sorted({metric.canonical for metric in tally.metrics})
        async for some in attributions.events(self.database, found, bucket, types):
            tally.add(some)
        sums = list(metric_sums(tally, reported))
        store = await self._output_of(found)
        with launcher.workspace(self.settings.work_folder, job) as workspace:
            spec = await self._spec(job, found, sums, workspace)
            result = await self._compute(job, KIND, spec, workspace, store)
        keys: list[Key] = [(each["metric"], each["source"]) for each in sums]
        values = dict(zip(keys, result["values"], strict=True))
        async with self.database.transaction() as connection:
            held = await resources.in_account_of(connection, found).get(found.path, lock=True)
            if held is None or held.id != found.id:
                return
            if (await attributions.load_bucket(connection, found.id, bucket))[0] != before:
                # The file says what was new before that: it is written again, under the same name.
                raise Transient("Another count of the same events ended first.")
            await attributions.save_bucket(connection, found.id, bucket, tally.events, values)
            if held.failure_reason is not None:
                await resources.in_account_of(connection, found).update(held)
        for each, value in zip(sums, result["values"], strict=True):
            labels = found.owner, each["metric"], each["event_type"], each["source"]
            metrics.ATTRIBUTED.labels(*labels).inc(max(value - each["reported"], 0.0))

    async def failed(self, job: Job, sentence: str) -> None:
        """Show why a bucket could not be counted; the metric attribution goes on with the others."""
        async with self.database.transaction() as connection:
            found = await resources.by_id(connection, job.payload["resource"])
            if found is not None:
                beside = resources.in_account_of(connection, found)
                held = await beside.get(found.path, lock=True)
                if held is not None and held.id == found.id:
                    await beside.update(held, failure_reason=sentence)
        metrics.FAILED_JOBS.labels(job.kind).inc()

    async def _spec(
        self, job: Job, found: Resource, sums: list[dict[str, Any]], workspace: Path
    ) -> attribution_report.Spec:
        wanted = {item for each in sums if each["column"] for item in each["items"]}
        items = await self._items(found, workspace / "received.parquet", sorted(wanted))
        name = f"PutEvents - {job.payload['bucket']}-{job.payload['events']}"
        place, again = _place(found, name), job.attempt > 1
        return attribution_report.Spec(job.payload["bucket"], sums, items, place, again=again)

    async def _count_import(self, job: Job, found: Resource) -> None:
        """Write the file of an import: once, or again under the same name."""
        store = await self._output_of(found)
        since = max(found.created_at, datetime.now(UTC) - timedelta(days=MOST_DAYS))
        with launcher.workspace(self.settings.work_folder, job) as workspace:
            items = await self._items(found, workspace / "received.parquet")
            spec = import_attribution.Spec(
                found.owner,
                job.payload["rows"],
                math.ceil(since.timestamp()),
                [
                    (each["metricName"], each["eventType"], each["expression"])
                    for each in found.facts["metrics"]
                ],
                sorted(await attributions.sources(self.database, found.id)),
                await attributions.recommendation_sources(self.database, found.owner),
                items,
                _place(found, f"BULK - {job.payload['began']}-{job.payload['import']}"),
            )
            await self._compute(job, "bulk attribution", spec, workspace, store)
        async with self.database.transaction() as connection:
            held = await resources.in_account_of(connection, found).get(found.path, lock=True)
            if held is not None and held.id == found.id and held.failure_reason is not None:
                await resources.in_account_of(connection, found).update(held)

    async def _output_of(self, found: Resource) -> TenantStore:
        """What the files of a metric attribution may reach; Permanent where its place was taken back."""
        place = _place(found, "")
        complaint = attribution_report.INVALID_OUTPUT_PATH
        output = [] if place.bucket is None else [(locations.Location(place.bucket, place.key), complaint)]
        return await self._store_of(found, writes=output)

    async def _items(self, found: Resource, path: Path, ids: list[str] | None = None) -> Items:
        """The imported items of the group, and a file of those that were put; with `ids` of these alone."""
        if ids is not None and not ids:
            return Items([], None)
        beside = resources.in_account_of(self.database, found)
        for dataset in await beside.children(found.parent or "", Type.DATASET):
            if dataset.document["datasetType"] != "ITEMS":
                continue
            parts = [part.key for part in await datasets.parts(self.database, dataset.id)]
            schema = await beside.get(dataset.document["schemaArn"].split(":", 5)[5])
            if schema is None:
                return Items(parts, None)
            columns = schemas.parse(schema.document["schema"])
            some = await received_rows.collect_whole(self.database, found.owner, "ITEMS", columns, path, ids)
            return Items(parts, str(path) if some else None)
        return Items([], None)


def _place(found: Resource, name: str) -> Place:
    """Where a file of a metric attribution goes; `name` is what it counts, and when that was."""
    name = f"AggregatedAttributionMetrics - {name}.csv"
    destination = found.document["metricsOutputConfig"].get("s3DataDestination")
    if destination is None:
        return Place(None, "", name)
    output = locations.parse(destination["path"], attribution_report.INVALID_OUTPUT_PATH)
    return Place(output.bucket, output.key, name)


async def publish_import(connection: Connection, ended: Resource, group: str, rows: list[str]) -> None:
    """Queue the count of an import's rows, if the group has a metric attribution; once per import."""
    beside = resources.in_account_of(connection, ended)
    for found in await beside.children(group, Type.METRIC_ATTRIBUTION):
        payload = {"resource": found.id, "import": ended.id, "rows": rows}
        payload["began"] = int(ended.created_at.timestamp())
        await jobs.enqueue(connection, KIND, f"{found.id}:import:{ended.id}", payload, tenant=found.owner)
