"""Statements of Athena's clients, and values as Athena writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.analytics.domain.athena_statements import databases_in, parsed
from services.analytics.domain.athena_values import csv_file, glue_type, text_of, type_of
from shared.errors import ApiError

CTAS = """CREATE TABLE "shop"."temp_table_3f2a"
WITH(
    external_location = 's3://results/temp_table_3f2a',
    write_compression = 'SNAPPY',
    format = 'PARQUET')
AS
SELECT user_id, count(*) AS n FROM interactions GROUP BY user_id"""


@pytest.mark.parametrize(
    ("text", "kind", "type_", "substatement"),
    [
        ("SELECT 1", "query", "DML", "SELECT"),
        ("WITH a AS (SELECT 1 AS x) SELECT x FROM a", "query", "DML", "SELECT"),
        ("EXPLAIN SELECT 1", "explain", "UTILITY", "EXPLAIN"),
        ("SHOW TABLES IN shop 'inter*'", "catalogue", "UTILITY", "SHOW_TABLES"),
        ("show databases;", "catalogue", "UTILITY", "SHOW_DATABASES"),
        ("SHOW COLUMNS IN shop.items", "catalogue", "UTILITY", "SHOW_COLUMNS"),
        ("DESCRIBE `shop`.`items`", "catalogue", "DDL", "DESCRIBE"),
        ("DROP TABLE IF EXISTS `shop`.`temp_table_3f2a`", "nothing", "DDL", "DROP_TABLE"),
        (CTAS, "files", "DDL", "CREATE_TABLE_AS_SELECT"),
        (
            "UNLOAD (SELECT * FROM items) TO 's3://b/p/' WITH (format='PARQUET', compression='snappy')",
            "files",
            "DML",
            "UNLOAD",
        ),
    ],
)
def test_a_statement_is_known_by_athenas_names(text: str, kind: str, type_: str, substatement: str) -> None:
    statement = parsed(text, "shop")

    assert (statement.kind, statement.type, statement.substatement) == (kind, type_, substatement)


def test_a_table_of_a_query_names_its_place() -> None:
    statement = parsed(CTAS, "shop")

    assert (statement.table, statement.place) == ("temp_table_3f2a", "s3://results/temp_table_3f2a")
    assert statement.query is not None
    assert statement.query.views == {"interactions"}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT 1; DROP TABLE items",
        "CREATE TABLE t AS SELECT * FROM read_text('/etc/passwd')",
        "CREATE TABLE t WITH (format = 'CSV') AS SELECT 1",
        "CREATE TABLE t WITH (partitioned_by = ARRAY['a']) AS SELECT 1 AS a",
        "UNLOAD (SELECT * FROM glob('/*')) TO 's3://b/p' WITH (format = 'PARQUET')",
        "EXPLAIN SELECT * FROM other.secrets",
        "DESCRIBE secrets",
        "ALTER TABLE items ADD COLUMNS (a int)",
        "INSERT INTO items SELECT 1",
        "CREATE EXTERNAL TABLE t (a int) LOCATION 's3://b/p'",
    ],
)
def test_what_could_reach_files_or_other_tables_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="refused"):
        parsed(text, "shop")


def test_the_databases_of_a_statement_are_found() -> None:
    assert databases_in("SELECT * FROM shop.items JOIN Other.users USING (user_id)") == {"shop", "other"}
    assert databases_in("SHOW TABLES IN shop") == {"shop"}
    assert databases_in("SELECT 1") == set()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (True, "true"),
        (7, "7"),
        (2.5, "2.5"),
        (1e7, "1.0E7"),
        (123456789.5, "1.234567895E8"),
        (0.0001, "1.0E-4"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 11, 28), "2026-11-28"),
        (datetime(2026, 11, 28, 1, 2, 3, 4000), "2026-11-28 01:02:03.004"),  # noqa: DTZ001 - without a zone
        (datetime(2026, 11, 28, 1, 2, 3, tzinfo=UTC), "2026-11-28 01:02:03.000 UTC"),
        (["a", None], "[a, null]"),
        ({"k": 1, "l": [2]}, "{k=1, l=[2]}"),
        (b"\x01\xff", "01 ff"),
    ],
)
def test_a_cell_has_athenas_text(value: Any, text: str | None) -> None:
    assert text_of(value) == text


def test_types_have_athenas_and_glues_names() -> None:
    assert type_of("HUGEINT") == ("bigint", 19, 0)
    assert type_of("DECIMAL(18,3)") == ("decimal", 18, 3)
    assert type_of("VARCHAR[]")[0] == "array"
    assert glue_type("STRUCT(item_id VARCHAR, n INTEGER, d DECIMAL(4,1))[]") == (
        "array<struct<item_id:string,n:int,d:decimal(4,1)>>"
    )
    assert glue_type("TIMESTAMP WITH TIME ZONE") == "timestamp"


def test_the_file_quotes_values_and_leaves_null_empty() -> None:
    assert csv_file(["a", "b"], [["x", None], ['say "hi"', ""]]) == b'"a","b"\n"x",\n"say ""hi""",""\n'
