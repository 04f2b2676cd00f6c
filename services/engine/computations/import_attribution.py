"""What the interactions of an import add up to, for an import job that publishes its attribution metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.engine.computations.attribution_report import Items, Place, publish, row_of, valued
from services.engine.domain.attribution import BUCKET_SECONDS, Metric, Tally, metric_sums
from services.engine.store.objects import Objects
from shared.aws.personalize.recommendation_ids import source_among
from shared.events import canonical_type

Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Spec:
    """What to count: `rows` are keys of the data bucket, `since` epoch seconds.

    Each metric has its name, event type and expression. `origins` are names and ARNs of what recommends in
    the tenant, `sources` those that were met before.
    """

    tenant: str
    rows: list[str]
    since: int
    metrics: list[tuple[str, str, str]]
    sources: list[str]
    origins: list[tuple[str, str]]
    items: Items
    place: Place


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Count the rows by quarters of an hour, and write the file."""
    metrics = tuple(Metric.parse(*metric) for metric in spec.metrics)
    types = {metric.canonical for metric in metrics}
    sources, tallies = set(spec.sources), dict[int, Tally]()
    for number, key in enumerate(spec.rows):
        report("count interactions", number / len(spec.rows))
        path = workspace / "rows.parquet"
        objects.download(objects.data_bucket, key, path)
        for bucket, event in _events(path, spec.since, types):
            if bucket not in tallies:
                tallies[bucket] = Tally(metrics, sources, source_among(spec.origins, spec.tenant))
            tallies[bucket].add([event])
        path.unlink()
    sums = [(bucket, each) for bucket in sorted(tallies) for each in metric_sums(tallies[bucket], {})]
    values = valued([each for _, each in sums], spec.items, objects)
    rows = [row_of(each, value, bucket) for (bucket, each), value in zip(sums, values, strict=True)]
    if rows := [row for row in rows if row[2]]:
        publish(rows, spec.place, objects, workspace)
    return {"warnings": []}


def _events(path: Path, since: int, types: set[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of these types from `since` on, each with its bucket."""
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
