"""A count of attributed events: sums over the items' columns, and the file of what is new."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.engine.domain.attribution import number
from services.engine.domain.locations import as_folder
from services.engine.store.objects import Objects

INVALID_OUTPUT_PATH = "Invalid S3 output path."
HEADER = ("METRIC_NAME", "EVENT_TYPE", "VALUE", "MATH_FUNCTION", "EVENT_ATTRIBUTION_SOURCE", "TIMESTAMP")

Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Spec:
    """What was counted in a bucket that begins at `bucket` (epoch seconds).

    Each of `sums` has the metric, event_type, function and source, what is already `reported`, and either
    a `value` or a `column` with the number of events by item. `parts` (keys of the data bucket) and
    `received` (a local file) are the items, what is later overrides. Without `output_bucket` no file is
    written; `again` says that an earlier attempt may have written it.
    """

    bucket: int
    sums: list[dict[str, Any]]
    parts: list[str]
    received: str | None
    output_bucket: str | None
    output_key: str
    name: str
    again: bool = False


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Write the differences to what is reported already; gives the values in the order of the sums."""
    report("read items", 0.0)
    columns = sorted({each["column"] for each in spec.sums if each["column"]})
    amounts = _amounts(spec, columns, objects, workspace) if columns else {}
    values = [
        sum(count * amounts[each["column"]].get(item, 0.0) for item, count in each["items"].items())
        if each["column"]
        else each["value"]
        for each in spec.sums
    ]
    rows = [
        (each["metric"], each["event_type"], value - each["reported"], each["function"], each["source"])
        for each, value in zip(spec.sums, values, strict=True)
        if value != each["reported"]
    ]
    # Another count may have reported since what an attempt that died has written under this name.
    if (rows or spec.again) and spec.output_bucket is not None:
        path = workspace / "metrics.csv"
        path.write_bytes(written(rows, spec.bucket))
        key = f"{as_folder(spec.output_key)}{spec.name}"
        objects.upload(path, spec.output_bucket, key, INVALID_OUTPUT_PATH)
    return {"values": values, "warnings": []}


def written(rows: list[tuple[str, str, float, str, str]], bucket: int) -> bytes:
    """The rows as a CSV file, with the beginning of the bucket."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((*row, bucket) for row in rows)
    return text.getvalue().encode()


def _amounts(
    spec: Spec, columns: list[str], objects: Objects, workspace: Path
) -> dict[str, dict[str, float]]:
    """Column → item → number, of the items that were counted alone."""
    wanted = pa.array(sorted({item for each in spec.sums for item in each.get("items", {})}), pa.string())
    known = set(wanted.to_pylist())
    amounts: dict[str, dict[str, float]] = {column: {} for column in columns}
    paths = []
    for number_, key in enumerate(spec.parts):
        path = workspace / f"items-{number_:05}.parquet"
        objects.download(objects.data_bucket, key, path)
        paths.append(path)
    if spec.received is not None:
        paths.append(Path(spec.received))
    for path in paths:
        _read(path, amounts, known)
    return amounts


def _read(path: Path, amounts: dict[str, dict[str, float]], known: set[str | None]) -> None:
    """Take over what a file says of the items; what it leaves out stays."""
    file = pq.ParquetFile(path)
    spelled = {name.upper(): name for name in file.schema_arrow.names}
    asked = {column: spelled[column.upper()] for column in amounts if column.upper() in spelled}
    for batch in file.iter_batches(columns=["ITEM_ID", *asked.values()]):
        items: list[Any] = batch.column("ITEM_ID").to_pylist()
        for column, name in asked.items():
            for item, cell in zip(items, batch.column(name).to_pylist(), strict=True):
                found = number(cell) if item in known else None
                if found is not None:
                    amounts[column][item] = found
