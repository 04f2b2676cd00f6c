"""The values of attribution metrics for a time bucket, and the CSV report of their increase."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from services.engine.computations import computation
from services.engine.computations.computation import ReportProgress
from services.engine.domain.attribution import parse_number
from services.engine.domain.locations import INVALID_OUTPUT_PATH, as_folder
from services.engine.store.objects import ObjectStorage
from shared.spreadsheets import as_text

HEADER = ("METRIC_NAME", "EVENT_TYPE", "VALUE", "MATH_FUNCTION", "EVENT_ATTRIBUTION_SOURCE", "TIMESTAMP")

Row = tuple[str, str, float, str, str, int]
"""A row of the report, in the order of `HEADER`."""


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a dataset group: imported `parts` (keys of the data bucket, oldest first) and `received`.

    `received` is a local Parquet file of the items that were put, or None. Later rows override earlier ones.
    """

    parts: list[str]
    received: str | None


@dataclass(frozen=True, slots=True)
class Destination:
    """The bucket, folder and file name of a report; without a bucket no report is written."""

    bucket: str | None
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Spec:
    """The sums of a bucket that starts at `bucket` (epoch seconds): see `domain.attribution.metric_sums`.

    `is_retry` says that an earlier attempt may have written the report.
    """

    bucket: int
    sums: list[dict[str, Any]]
    items: Items
    destination: Destination
    is_retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(computation.Result):
    """The total value of each sum, in the order of the spec."""

    values: list[float]


def run(spec: Spec, objects: ObjectStorage, workspace: Path, report: ReportProgress) -> Report:
    """Compute the values, and write their increase since the last report.

    Raises Permanent when the report can't be written to its destination.
    """
    report("read items", 0.0)
    values = sum_values(spec.sums, spec.items, objects)
    rows = [increase(each, value, spec.bucket) for each, value in zip(spec.sums, values, strict=True)]
    increases = [row for row in rows if row[2]]
    # A retry replaces the file of an attempt that died, even by an empty one: another count of the same
    # bucket may have reported those events since.
    if increases or spec.is_retry:
        publish(increases, spec.destination, objects, workspace)
    return Report(values=values)


def increase(each: Mapping[str, Any], value: float, bucket: int) -> Row:
    """Return the row for the increase of a sum since it was last reported."""
    delta = value - each["reported"]
    return each["metric"], each["event_type"], delta, each["function"], each["source"], bucket


def sum_values(sums: Sequence[Mapping[str, Any]], items: Items, objects: ObjectStorage) -> list[float]:
    """Return the value of each sum; sums over a column of the items use the items' current values."""
    columns = sorted({each["column"] for each in sums if each["column"]})
    item_ids = {item for each in sums if each["column"] for item in each["items"]}
    amounts = _amounts(columns, item_ids, items, objects)
    return [
        sum(count * amounts[each["column"]].get(item, 0.0) for item, count in each["items"].items())
        if each["column"]
        else each["value"]
        for each in sums
    ]


def publish(rows: Sequence[Row], destination: Destination, objects: ObjectStorage, workspace: Path) -> None:
    """Write the report, if it has a destination."""
    if destination.bucket is not None:
        path = workspace / "metrics.csv"
        path.write_bytes(as_csv(rows))
        key = f"{as_folder(destination.key)}{destination.name}"
        objects.upload(path, destination.bucket, key, INVALID_OUTPUT_PATH)


def as_csv(rows: Iterable[Row]) -> bytes:
    """Return the rows as a CSV file in which no text is a formula for a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([as_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue().encode()


def _amounts(
    columns: list[str], item_ids: set[str], items: Items, objects: ObjectStorage
) -> dict[str, dict[str, float]]:
    """Return the number of each of these items in each column: column → item → number."""
    amounts: dict[str, dict[str, float]] = {column: {} for column in columns}
    if not item_ids:
        return amounts
    for key in items.parts:
        with objects.seekable(objects.data_bucket, key) as stored:
            _read(pq.ParquetFile(stored), amounts, item_ids)
    if items.received is not None:
        _read(pq.ParquetFile(items.received), amounts, item_ids)
    return amounts


def _read(file: pq.ParquetFile, amounts: dict[str, dict[str, float]], item_ids: set[str]) -> None:
    """Update `amounts` from a file; a null leaves the earlier number in place."""
    file_columns = {name.upper(): name for name in file.schema_arrow.names}
    names = {column: file_columns[column.upper()] for column in amounts if column.upper() in file_columns}
    for batch in file.iter_batches(columns=["ITEM_ID", *names.values()]):
        rows: list[Any] = batch.column("ITEM_ID").to_pylist()
        for column, name in names.items():
            for item, cell in zip(rows, batch.column(name).to_pylist(), strict=True):
                amount = parse_number(cell) if item in item_ids else None
                if amount is not None:
                    amounts[column][item] = amount
