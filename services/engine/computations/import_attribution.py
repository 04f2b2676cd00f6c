"""The attribution metrics of the interactions of one import, as a CSV report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.engine.computations.attribution_report import (
    Destination,
    Items,
    increase,
    publish,
    sum_values,
)
from services.engine.computations.computation import ReportProgress, Result
from services.engine.domain.attribution import BUCKET_SECONDS, Metric, MetricAggregator, metric_sums
from services.engine.store.objects import ObjectStorage
from shared.aws.personalize.recommendation_ids import source_among
from shared.events import canonical_type


@dataclass(frozen=True, slots=True)
class Spec:
    """The interactions to count: `parts` are keys of the data bucket, `since` is in epoch seconds.

    Each metric is a name, an event type and an expression. `origins` are the names and ARNs of the campaigns
    and recommenders of the tenant, `sources` the attribution sources known so far.
    """

    tenant: str
    parts: list[str]
    since: int
    metrics: list[tuple[str, str, str]]
    sources: list[str]
    origins: list[tuple[str, str]]
    items: Items
    destination: Destination


def run(spec: Spec, objects: ObjectStorage, workspace: Path, report: ReportProgress) -> Result:
    """Count the interactions by quarter of an hour, and write the report.

    Raises Permanent when the report can't be written to its destination.
    """
    metrics = tuple(Metric.parse(*metric) for metric in spec.metrics)
    types = {metric.canonical for metric in metrics}
    sources, aggregators = set(spec.sources), dict[int, MetricAggregator]()
    for number, key in enumerate(spec.parts):
        report("count interactions", number / len(spec.parts))
        path = workspace / "rows.parquet"
        objects.download(objects.data_bucket, key, path)
        for bucket, event in _events(path, spec.since, types):
            if bucket not in aggregators:
                aggregators[bucket] = MetricAggregator(
                    metrics, sources, source_among(spec.origins, spec.tenant)
                )
            aggregators[bucket].add([event])
        path.unlink()
    sums = [(bucket, each) for bucket in sorted(aggregators) for each in metric_sums(aggregators[bucket], {})]
    values = sum_values([each for _, each in sums], spec.items, objects)
    rows = [increase(each, value, bucket) for (bucket, each), value in zip(sums, values, strict=True)]
    if rows := [row for row in rows if row[2]]:
        publish(rows, spec.destination, objects, workspace)
    return Result()


def _events(path: Path, since: int, types: set[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the interactions of these types since `since`, each with the start of its bucket."""
    file = pq.ParquetFile(path)
    names = [name.upper() for name in file.schema_arrow.names]
    for batch in file.iter_batches():
        named = batch.rename_columns(names)
        for row in named.filter(pc.greater_equal(named["TIMESTAMP"], pa.scalar(since))).to_pylist():
            kind = canonical_type(row.get("EVENT_TYPE") or "")
            if kind not in types:
                continue
            yield (
                row["TIMESTAMP"] // BUCKET_SECONDS * BUCKET_SECONDS,
                {
                    "event_type": kind,
                    "item_id": row["ITEM_ID"],
                    "value": row.get("EVENT_VALUE"),
                    "properties": row,
                    "attribution_source": row.get("EVENT_ATTRIBUTION_SOURCE"),
                    "recommendation_id": row.get("RECOMMENDATION_ID"),
                },
            )
