"""The files of a table of the event lake: join small ones, delete repeated rows and old days.

Joining files changes no rows, so writers may add rows meanwhile. A deletion fails if a writer adds rows
meanwhile.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import ColumnProperties, WriterProperties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deltalake import DeltaTable

    from services.analytics.domain.lake_tables import LakeTable

MAX_BYTES: Final = 256 * 2**20
"""Size up to which files of a day are joined; Delta's own default is 100 MiB. Arbitrary."""

GROUP_FILES: Final = 100
GROUP_ROWS: Final = 500_000
"""Files and rows of the days that are maintained at once: about a second of work, and 100 MB for the ids of
the rows. A single day may have more. Arbitrary."""

CHUNK: Final = 500
"""Rows that one deletion names by their offsets; arbitrary."""

REWRITTEN: Final = WriterProperties(
    default_column_properties=ColumnProperties(statistics_enabled="NONE"),
    column_properties={"occurred_at": ColumnProperties(statistics_enabled="CHUNK")},
)
"""Properties of the files that a deletion writes. Their texts are of Arrow's type string_view: pyarrow cannot
compare the statistics of these with a condition on a text, and would refuse the query."""


def day_groups(target: DeltaTable) -> list[list[str]]:
    """Return the days that have several files, in groups of about `GROUP_FILES` files.

    A day with one file has no small files to join and no repeated rows: a file is written without them.
    """
    files: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for action in pa.table(target.get_add_actions(flatten=True)).to_pylist():
        files[action["partition.dt"]] += 1
        rows[action["partition.dt"]] += action["num_records"] or 0
    groups: list[list[str]] = []
    size, height = GROUP_FILES, 0
    for day in sorted(day for day, count in files.items() if count > 1):
        if size + files[day] > GROUP_FILES or height + rows[day] > GROUP_ROWS:
            groups.append([])
            size = height = 0
        groups[-1].append(day)
        size, height = size + files[day], height + rows[day]
    return groups


def join_files(target: DeltaTable, days: Sequence[str]) -> None:
    """Join the small files of each of these days."""
    target.optimize.compact(partition_filters=[("dt", "in", list(days))], target_size=MAX_BYTES)


def repeated_rows(target: DeltaTable, table: LakeTable, days: Sequence[str]) -> list[str]:
    """Return predicates of the rows whose event is in another row of its day, at most `CHUNK` rows each."""
    names = ["dt", table.id_column, "kafka_partition", "kafka_offset"]
    names += ["source"] if "source" in table.schema.names else []
    rows = target.to_pyarrow_table(columns=names, filters=[("dt", "in", list(days))])
    repeated = rows.take(repeated_places(rows, table.id_column)).sort_by("kafka_partition")
    return list(_predicates(repeated.to_pylist(), table.id_column))


def repeated_places(rows: pa.Table, id_column: str) -> pa.Int64Array:
    """Return the places, in order, of rows whose id is in another row of their day.

    An order's own line stays before claims of others, else the row of the first record.
    """
    counts = rows.group_by(["dt", id_column]).aggregate([([], "count_all")])
    ids = counts.filter(pc.field("count_all") > 1)[id_column]
    places = pc.indices_nonzero(pc.is_in(rows[id_column], ids.combine_chunks()))
    candidates = rows.take(places)
    columns = [candidates[name].to_pylist() for name in ("dt", id_column, "kafka_partition", "kafka_offset")]
    has_source = "source" in rows.column_names
    sources = candidates["source"].to_pylist() if has_source else [None] * len(places)
    best: dict[tuple[str, str], tuple[bool, int, int, int]] = {}
    repeated: list[int] = []
    for place, source, day, id_, partition, offset in zip(places.to_pylist(), sources, *columns, strict=True):
        row = (source != "order", partition, offset, place)
        kept = best.setdefault((day, id_), row)
        if kept is not row:
            best[day, id_] = min(kept, row)
            repeated.append(max(kept, row)[-1])
    return pa.array(sorted(repeated), pa.int64())


def _predicates(rows: Sequence[Mapping[str, Any]], id_column: str) -> Iterator[str]:
    for partition, group in groupby(rows, itemgetter("kafka_partition")):
        part = list(group)
        for start in range(0, len(part), CHUNK):
            chunk = part[start : start + CHUNK]
            days = ", ".join({literal(row["dt"]) for row in chunk})
            offsets = ", ".join(str(row["kafka_offset"]) for row in chunk)
            # A record has several rows: offset and id name one of them.
            places = ", ".join(literal(f"{row['kafka_offset']}/{row[id_column]}") for row in chunk)
            yield (
                f"dt IN ({days}) AND kafka_partition = {partition} AND kafka_offset IN ({offsets}) "
                f"AND concat(CAST(kafka_offset AS VARCHAR), '/', {id_column}) IN ({places})"
            )


def delete(target: DeltaTable, predicate: str) -> int:
    """Delete rows; return their number."""
    return int(target.delete(predicate, writer_properties=REWRITTEN).get("num_deleted_rows") or 0)


def expired_rows(target: DeltaTable, table: LakeTable, oldest_day: str, *, is_history: bool) -> str | None:
    """Return the predicate of the rows of days before `oldest_day`; None if there are none.

    With `is_history` these are the rows of imported history, else all others.
    """
    knows_history = "historical" in table.schema.names
    if is_history and not knows_history:
        return None
    condition = pc.field("dt") < oldest_day
    if knows_history:
        historical = pc.field("historical")
        condition &= historical if is_history else (~historical | historical.is_null())
    days: set[str] = set()
    if any(entry["dt"] < oldest_day for entry in target.partitions()):
        for batch in target.to_pyarrow_dataset().scanner(columns=["dt"], filter=condition).to_batches():
            days.update(map(str, batch["dt"].unique().to_pylist()))
    if not days:
        return None
    predicate = f"dt IN ({', '.join(map(literal, sorted(days)))})"
    if knows_history:
        predicate += " AND historical IS TRUE" if is_history else " AND historical IS NOT TRUE"
    return predicate


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
