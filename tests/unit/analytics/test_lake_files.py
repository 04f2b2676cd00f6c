"""The files of a lake's table: which rows are repeated, and which days are maintained together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from services.analytics.domain.lake_tables import BY_NAME, TABLES, LakeTable
from services.analytics.store import lake_files
from services.analytics.store.lake import PROPERTIES, Lake
from shared.settings import S3Settings

Row = tuple[str, str, int, int, str]
COLUMNS = ("dt", "event_id", "kafka_partition", "kafka_offset", "source")


def table_of(*rows: Row) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows])


def delta(folder: Path, *polls: pa.Table) -> DeltaTable:
    for poll in polls:
        write_deltalake(folder, poll, mode="append", partition_by=["dt"], configuration=PROPERTIES)
    return DeltaTable(folder)


def test_the_first_record_of_an_event_stays_and_before_it_the_line_of_an_order() -> None:
    rows = table_of(
        ("2026-01-01", "a", 1, 5, "events"),
        ("2026-01-01", "a", 1, 4, "events"),
        ("2026-01-01", "line", 0, 1, "events"),
        ("2026-01-01", "line", 3, 9, "order"),
        ("2026-01-01", "line", 0, 2, "events"),
        ("2026-01-02", "a", 1, 9, "events"),  # of another day
        ("2026-01-02", "b", 1, 9, "events"),
    )

    assert lake_files.repeated_places(rows, "event_id").to_pylist() == [0, 2, 4]
    assert lake_files.repeated_places(rows.drop_columns("source"), "event_id").to_pylist() == [0, 3, 4]
    assert lake_files.repeated_places(rows.slice(0, 0), "event_id").to_pylist() == []


def test_days_with_several_files_are_maintained_in_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [f"2026-01-0{day}" for day in range(1, 7)]
    poll = table_of(*((day, "a", 0, 0, "events") for day in days))
    table = delta(tmp_path, poll, poll.slice(1), table_of(("2026-01-09", "a", 0, 0, "events")))

    assert lake_files.day_groups(table) == [days[1:]]
    monkeypatch.setattr(lake_files, "GROUP_FILES", 5)
    assert lake_files.day_groups(table) == [days[1:3], days[3:5], days[5:]]
    monkeypatch.setattr(lake_files, "GROUP_ROWS", 1)
    assert lake_files.day_groups(table) == [[day] for day in days[1:]]


def test_deletions_name_the_repeated_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_files, "CHUNK", 2)
    day = "2026-01-01"
    kept = [
        (day, "it's a", 0, 1, "events"),
        (day, "b", 0, 2, "events"),
        (day, "c", 1, 3, "events"),
    ]
    repeated = [
        (day, "it's a", 0, 2, "events"),  # in the record of b
        (day, "b", 0, 4, "events"),
        (day, "b", 0, 5, "events"),
        (day, "c", 1, 6, "events"),
    ]
    table = delta(tmp_path, table_of(*kept), table_of(*repeated))

    predicates = lake_files.repeated_rows(table, BY_NAME["interactions"], [day])
    assert sum(lake_files.delete(table, predicate) for predicate in predicates) == 4

    rows = table.to_pyarrow_table(columns=["event_id", "kafka_offset"]).to_pylist()
    assert {(row["event_id"], row["kafka_offset"]) for row in rows} == {("it's a", 1), ("b", 2), ("c", 3)}
    assert (len(rows), len(predicates)) == (3, 3)


def test_texts_of_a_file_that_a_deletion_wrote_can_be_compared(tmp_path: Path) -> None:
    """An erasure writes files anew; a query with a condition on a text was refused then."""
    rows = table_of(*(("2026-01-01", id_, 0, place, "events") for place, id_ in enumerate("abc")))

    assert lake_files.delete(delta(tmp_path, rows), "event_id = 'a'") == 1

    with query_of(tmp_path) as connection:
        for condition, count in (("= 'b'", 1), ("> 'b'", 1), ("IN ('a', 'c')", 1), ("<> 'b'", 1)):
            found = connection.execute(f"SELECT count(*) FROM rows WHERE event_id {condition}").fetchone()
            assert found == (count,), condition


@contextmanager
def query_of(folder: Path) -> Iterator[Any]:
    """Yield a connection of DuckDB that knows a table as `rows`."""
    connection = duckdb.connect()
    connection.register("rows", DeltaTable(folder).to_pyarrow_dataset())
    yield connection
    connection.close()


def test_a_table_without_the_properties_gets_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion wrote a file without extremes, and readers left it out."""
    rows = table_of(*(("2026-01-01", id_, 0, place, "events") for place, id_ in enumerate("abc")))
    write_deltalake(tmp_path, rows, partition_by=["dt"])
    lake_files.delete(DeltaTable(tmp_path), "event_id = 'a'")
    count = "SELECT count(*) FROM rows WHERE event_id = 'b'"
    with query_of(tmp_path) as connection:
        assert connection.execute(count).fetchone() == (0,)

    lake = Lake(S3Settings())
    monkeypatch.setattr(lake, "uri", lambda *_: str(tmp_path))
    opened = lake.open("shop", "interactions")

    assert opened is not None
    assert opened.version() == 2
    assert lake.open("shop", "interactions").version() == 2  # type: ignore[union-attr]
    with query_of(tmp_path) as connection:
        assert connection.execute(count).fetchone() == (1,)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_any_reader_of_delta_can_read_a_table(
    table: LakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark, Trino and Athena read the protocol 1 without further features."""
    lake = Lake(S3Settings())
    monkeypatch.setattr(lake, "uri", lambda *_: str(tmp_path))

    assert lake.append(table, "shop", [], {0: 7}) == 0

    opened = DeltaTable(tmp_path)
    protocol = opened.protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert opened.transaction_version(f"{table.topic.name}/0") == 7


def test_old_rows_are_those_of_imported_history_or_all_others(tmp_path: Path) -> None:
    rows = [
        {"dt": day, "event_id": f"{day}{historical}", "historical": historical}
        for day, historical in (
            ("2020-01-01", True),
            ("2020-01-01", False),
            ("2020-01-02", True),
            ("2020-01-03", None),
            ("2026-01-01", False),
        )
    ]
    table = delta(tmp_path, pa.Table.from_pylist(rows))

    def expired(day: str, name: str = "interactions", *, is_history: bool) -> str | None:
        return lake_files.expired_rows(table, BY_NAME[name], day, is_history=is_history)

    assert expired("2025-01-01", is_history=False) == (
        "dt IN ('2020-01-01', '2020-01-03') AND historical IS NOT TRUE"
    )
    assert expired("2020-01-02", is_history=True) == "dt IN ('2020-01-01') AND historical IS TRUE"
    assert expired("2020-01-01", is_history=False) is None
    assert expired("2025-01-01", "exposures", is_history=True) is None
    assert expired("2020-01-02", "exposures", is_history=False) == "dt IN ('2020-01-01')"
    assert lake_files.delete(table, expired("2025-01-01", is_history=False) or "") == 2
    assert expired("2025-01-01", is_history=False) is None
