"""Jobs that count attributed events: a closed quarter of an hour each, as often as it gets other events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.engine import metrics
from services.engine.domain import locations, schemas
from services.engine.domain.attribution import Key, Metric, Tally
from services.engine.domain.resources import Resource, Type
from services.engine.store import attributions, datasets, resources
from services.engine.worker import attribution, child, collecting
from services.engine.worker.runner import Runner
from shared.errors import Transient

if TYPE_CHECKING:
    from pathlib import Path

    from shared.jobs import Job

KIND = "attribution"


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
        bucket = datetime.fromtimestamp(job.payload["bucket"], UTC)
        before, reported = await attributions.counted(self.database, found.id, bucket)
        sources = await attributions.sources(self.database, found.id)
        origin = await attributions.origins(self.database, found.owner)
        tally = Tally(metrics_of(found), sources, origin)
        types = sorted({metric.canonical for metric in tally.metrics})
        async for some in attributions.events(self.database, found, bucket, types):
            tally.add(some)
        sums = list(_sums(tally, reported))
        with child.workspace(self.settings.work_folder, job) as workspace:
            spec = await self._spec(job, found, sums, workspace)
            result = await self._compute(job, KIND, spec, workspace)
        keys: list[Key] = [(each["metric"], each["source"]) for each in sums]
        values = dict(zip(keys, result["values"], strict=True))
        async with self.database.transaction() as connection:
            held = await resources.beside(connection, found).get(found.path, lock=True)
            if held is None or held.id != found.id:
                return
            if (await attributions.counted(connection, found.id, bucket))[0] != before:
                # The file says what was new before that: it is written again, under the same name.
                raise Transient("Another count of the same events ended first.")
            await attributions.save(connection, found.id, bucket, tally.events, values)
            if held.failure_reason is not None:
                await resources.beside(connection, found).update(held)
        for each, value in zip(sums, result["values"], strict=True):
            labels = found.owner, each["metric"], each["event_type"], each["source"]
            metrics.ATTRIBUTED.labels(*labels).inc(max(value - each["reported"], 0.0))

    async def failed(self, job: Job, sentence: str) -> None:
        """Show why a bucket could not be counted; the metric attribution goes on with the others."""
        async with self.database.transaction() as connection:
            found = await resources.by_id(connection, job.payload["resource"])
            if found is not None:
                beside = resources.beside(connection, found)
                held = await beside.get(found.path, lock=True)
                if held is not None and held.id == found.id:
                    await beside.update(held, failure_reason=sentence)
        metrics.FAILED_JOBS.labels(job.kind).inc()

    async def _spec(
        self, job: Job, found: Resource, sums: list[dict[str, Any]], workspace: Path
    ) -> attribution.Spec:
        parts: list[str] = []
        received = None
        if any(each["column"] for each in sums):
            parts, received = await self._items(found, workspace / "received.parquet")
        destination = found.document["metricsOutputConfig"].get("s3DataDestination")
        output = (
            locations.parse(destination["path"], attribution.INVALID_OUTPUT_PATH) if destination else None
        )
        return attribution.Spec(
            job.payload["bucket"],
            sums,
            parts,
            received,
            output.bucket if output else None,
            output.key if output else "",
            f"AggregatedAttributionMetrics - PutEvents - {job.payload['bucket']}-{job.payload['events']}.csv",
            again=job.attempt > 1,
        )

    async def _items(self, found: Resource, path: Path) -> tuple[list[str], str | None]:
        """The imported items of the group, and a file of those that were put."""
        beside = resources.beside(self.database, found)
        for dataset in await beside.children(found.parent or "", Type.DATASET):
            if dataset.document["datasetType"] != "ITEMS":
                continue
            parts = [part.key for part in await datasets.parts(self.database, dataset.id)]
            schema = await beside.get(dataset.document["schemaArn"].split(":", 5)[5])
            if schema is None:
                return parts, None
            columns = schemas.parse(schema.document["schema"])
            some = await collecting.collect_whole(self.database, found.owner, "ITEMS", columns, path)
            return parts, str(path) if some else None
        return [], None


def _sums(tally: Tally, reported: dict[Key, float]) -> Any:
    """Each metric and source, with what is known of its value; also those whose events are gone."""
    by_name = {metric.name: metric for metric in tally.metrics}
    for key in sorted(tally.values.keys() | tally.items.keys() | reported.keys()):
        metric = by_name.get(key[0])
        if metric is None:
            continue
        yield {
            "metric": metric.name,
            "event_type": metric.event_type,
            "function": metric.function,
            "source": key[1],
            "reported": reported.get(key, 0.0),
            "value": tally.values.get(key, 0.0),
            "column": metric.column if metric.dataset == "ITEMS" else "",
            "items": dict(tally.items.get(key, {})),
        }
