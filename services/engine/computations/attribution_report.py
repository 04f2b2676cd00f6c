"""A count of attributed events: sums over the items' columns, and the file of what is new."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from services.engine.domain.attribution import parse_number
from services.engine.domain.locations import as_folder
from services.engine.store.objects import Objects
from shared.spreadsheets import as_text

INVALID_OUTPUT_PATH = "Invalid S3 output path."
HEADER = ("METRIC_NAME", "EVENT_TYPE", "VALUE", "MATH_FUNCTION", "EVENT_ATTRIBUTION_SOURCE", "TIMESTAMP")

Report = Callable[[str, float], None]


# A metric's value in a bucket, or what is new of it: metric, event type, value, function, source, bucket.
Row = tuple[str, str, float, str, str, int]


@dataclass(frozen=True, slots=True)
class Items:
    """A group's items: keys of the data bucket, and a local file of what was put; the later ones override."""

    parts: list[str]
    received: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file goes; without a bucket none is written."""

    bucket: str | None
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Spec:
    """What was counted in a bucket that begins at `bucket` (epoch seconds).

    `sums` are those of `domain.attribution.sums_of`; `again` says that an earlier attempt may have written
    the file.
    """

    bucket: int
    sums: list[dict[str, Any]]
    items: Items
    place: Place
    again: bool = False


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Write the differences to what is reported already; gives the values in the order of the sums."""
    report("read items", 0.0)
    values = valued(spec.sums, spec.items, objects)
    rows = [row_of(each, value, spec.bucket) for each, value in zip(spec.sums, values, strict=True)]
    new = [row for row in rows if row[2]]
    # Another count may have reported since what an attempt that died has written under this name.
    if new or spec.again:
        publish(new, spec.place, objects, workspace)
    return {"values": values, "warnings": []}


def row_of(each: Mapping[str, Any], value: float, bucket: int) -> Row:
    """What is new of a sum."""
    new = value - each["reported"]
    return each["metric"], each["event_type"], new, each["function"], each["source"], bucket


def valued(sums: Sequence[Mapping[str, Any]], items: Items, objects: Objects) -> list[float]:
    """The value of each sum; where a column of the items is summed, as the items say now."""
    columns = sorted({each["column"] for each in sums if each["column"]})
    wanted = {item for each in sums if each["column"] for item in each["items"]}
    amounts = _amounts(columns, wanted, items, objects)
    return [
        sum(count * amounts[each["column"]].get(item, 0.0) for item, count in each["items"].items())
        if each["column"]
        else each["value"]
        for each in sums
    ]


def publish(rows: Sequence[Row], place: Place, objects: Objects, workspace: Path) -> None:
    """Write the file, if there is a place for it."""
    if place.bucket is not None:
        path = workspace / "metrics.csv"
        path.write_bytes(written(rows))
        objects.upload(path, place.bucket, f"{as_folder(place.key)}{place.name}", INVALID_OUTPUT_PATH)


def written(rows: Iterable[Row]) -> bytes:
    """Return the rows as a CSV file, whose texts no spreadsheet takes for formulas."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([as_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue().encode()


def _amounts(
    columns: list[str], known: set[str], items: Items, objects: Objects
) -> dict[str, dict[str, float]]:
    """Column → item → number, of the items that were counted alone; nothing is read for none."""
    amounts: dict[str, dict[str, float]] = {column: {} for column in columns}
    if not known:
        return amounts
    for key in items.parts:
        with objects.seekable(objects.data_bucket, key) as stored:
            _read(pq.ParquetFile(stored), amounts, known)
    if items.received is not None:
        _read(pq.ParquetFile(items.received), amounts, known)
    return amounts


def _read(file: pq.ParquetFile, amounts: dict[str, dict[str, float]], known: set[str]) -> None:
    """Take over what a file says of the items; what it leaves out stays."""
    spelled = {name.upper(): name for name in file.schema_arrow.names}
    asked = {column: spelled[column.upper()] for column in amounts if column.upper() in spelled}
    for batch in file.iter_batches(columns=["ITEM_ID", *asked.values()]):
        items: list[Any] = batch.column("ITEM_ID").to_pylist()
        for column, name in asked.items():
            for item, cell in zip(items, batch.column(name).to_pylist(), strict=True):
                found = parse_number(cell) if item in known else None
                if found is not None:
                    amounts[column][item] = found
