"""Statements of Athena's clients: queries, tables made of queries, and questions about the catalogue."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from services.analytics.domain.sql import DATABASE, MAX_CHARACTERS, VIEWS, Query, checked
from shared.errors import ApiError

StatementType = Literal["DML", "DDL", "UTILITY"]
Kind = Literal["query", "explain", "files", "catalogue", "nothing"]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: what it does, how Athena calls it, and the query to run.

    `place` is where the files of `files` go, `table` the table that they make, if any. `catalogue` is the
    question of `catalogue`.
    """

    kind: Kind
    type: StatementType
    substatement: str
    query: Query | None = None
    place: str | None = None
    table: str | None = None
    catalogue: tuple[str, ...] = ()


_NAME: Final = r"[`\"]?(?P<{0}>[\w$-]+)[`\"]?"
_TABLE: Final = rf"(?:{_NAME.format('catalog')}\.)?(?:{_NAME.format('db')}\.)?{_NAME.format('table')}"
_END: Final = r"\s*;?\s*$"
_CTAS: Final = re.compile(
    rf"\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_TABLE}\s*(?:WITH\s*\((?P<options>.*?)\)\s*)?AS\s*\n?(?P<query>(?:\(|SELECT\b|WITH\b).*)",
    re.IGNORECASE | re.DOTALL,
)
_UNLOAD: Final = re.compile(
    r"\s*UNLOAD\s*\((?P<query>.*)\)\s*TO\s*'(?P<place>s3://[^']+)'\s*WITH\s*\((?P<options>[^)]*)\)" + _END,
    re.IGNORECASE | re.DOTALL,
)
_EXPLAIN: Final = re.compile(r"\s*EXPLAIN\s+(?P<query>(?:SELECT|WITH|\().*)", re.IGNORECASE | re.DOTALL)
_DROP: Final = re.compile(rf"\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?{_TABLE}{_END}", re.IGNORECASE)
_SHOW: Final[tuple[tuple[re.Pattern[str], str, Callable[[re.Match[str]], tuple[str, ...]]], ...]] = (
    (
        re.compile(
            rf"\s*SHOW\s+(?:DATABASES|SCHEMAS)(?:\s+(?:IN|FROM)\s+\S+)?(?:\s+LIKE\s+'[^']*')?{_END}",
            re.IGNORECASE,
        ),
        "SHOW_DATABASES",
        lambda _: ("databases",),
    ),
    (
        re.compile(
            rf"\s*SHOW\s+TABLES(?:\s+(?:IN|FROM)\s+{_NAME.format('db')})?(?:\s+(?:LIKE\s+)?'(?P<like>[^']*)')?{_END}",
            re.IGNORECASE,
        ),
        "SHOW_TABLES",
        lambda match: ("tables", match["like"] or "*"),
    ),
    (
        re.compile(rf"\s*SHOW\s+COLUMNS\s+(?:IN|FROM)\s+{_TABLE}{_END}", re.IGNORECASE),
        "SHOW_COLUMNS",
        lambda match: ("columns", match["table"].lower()),
    ),
    (
        re.compile(rf"\s*(?:DESCRIBE|DESC)\s+(?:FORMATTED\s+|EXTENDED\s+)?{_TABLE}{_END}", re.IGNORECASE),
        "DESCRIBE",
        lambda match: ("describe", match["table"].lower()),
    ),
    (
        re.compile(rf"\s*SHOW\s+PARTITIONS\s+{_TABLE}{_END}", re.IGNORECASE),
        "SHOW_PARTITIONS",
        lambda match: ("partitions", match["table"].lower()),
    ),
    (
        re.compile(rf"\s*SHOW\s+CREATE\s+TABLE\s+{_TABLE}{_END}", re.IGNORECASE),
        "SHOW_CREATE_TABLE",
        lambda match: ("create", match["table"].lower()),
    ),
)
_OPTION: Final = re.compile(r"(\w+)\s*=\s*(?:'([^']*)'|(\d+)|ARRAY\s*\[[^]]*\])", re.IGNORECASE)
_OPTIONS: Final = frozenset(
    ("external_location", "format", "write_compression", "parquet_compression", "compression")
)


def parsed(text: str, database: str) -> Statement:
    """Return a statement; raises ApiError 400 for one that is not possible here."""
    if len(text) > MAX_CHARACTERS:
        raise refused(f"the query has more than {MAX_CHARACTERS:,} characters")
    for pattern, substatement, question in _SHOW:
        match = pattern.match(text)
        if match is not None:
            return _catalogue(substatement, question(match))
    if (match := _EXPLAIN.match(text)) is not None:
        query = checked(match["query"], "trino", database)
        return Statement("explain", "UTILITY", "EXPLAIN", Query(f"EXPLAIN {query.text}", query.views))
    if (match := _DROP.match(text)) is not None:
        return Statement("nothing", "DDL", "DROP_TABLE", table=match["table"].lower())
    if (match := _CTAS.match(text)) is not None:
        return _files(match, database, "CREATE_TABLE_AS_SELECT", match["table"].lower())
    if (match := _UNLOAD.match(text)) is not None:
        return _files(match, database, "UNLOAD", None)
    return Statement("query", "DML", "SELECT", checked(text, "trino", database))


def databases_in(text: str) -> set[str]:
    """Return the databases that the tables of a statement name, in lower case; none if it can't be read."""
    for pattern, _, _ in _SHOW:
        match = pattern.match(text)
        if match is not None:
            name = match.groupdict().get("db")
            return {name.lower()} if name else set()
    match = _CTAS.match(text) or _UNLOAD.match(text) or _EXPLAIN.match(text)
    try:
        statements = sqlglot.parse(match["query"] if match else text, read="trino")
    except (SqlglotError, RecursionError, ValueError):
        return set()
    return {
        table.db.lower()
        for statement in statements
        if statement is not None
        for table in statement.find_all(exp.Table)
        if table.db
    }


def refused(reason: str) -> ApiError:
    """Return the error for a statement that can't be run."""
    return ApiError(400, "InvalidQuery", f"The query was refused: {reason}.")


def _catalogue(substatement: str, question: tuple[str, ...]) -> Statement:
    kind, *names = question
    if kind not in {"databases", "tables"} and names[0] not in VIEWS:
        raise refused(f"there is no table {names[0]}; there are {', '.join(VIEWS)}")
    statement_type: StatementType = "UTILITY" if substatement.startswith("SHOW") else "DDL"
    return Statement("catalogue", statement_type, substatement, catalogue=question)


def _files(match: re.Match[str], database: str, substatement: str, table: str | None) -> Statement:
    """Return a statement that writes the rows of a query as Parquet files."""
    options = {name.lower(): text or number for name, text, number in _OPTION.findall(match["options"] or "")}
    unknown = options.keys() - _OPTIONS
    if unknown:
        raise refused(f"the option {min(unknown)} is not possible here; files are Parquet without partitions")
    if options.get("format", "PARQUET").upper() != "PARQUET":
        raise refused("files are Parquet: say format = 'PARQUET'")
    query = match["query"].strip().rstrip(";").strip()
    if query.startswith("(") and query.endswith(")"):
        query = query[1:-1]
    place = options.get("external_location") if table is not None else match["place"]
    kind: StatementType = "DDL" if table is not None else "DML"
    return Statement("files", kind, substatement, checked(query, "trino", database), place, table)


DATABASES: Final = frozenset((DATABASE, "default"))
"""Names of the main tenant's database, beside that of its dataset group."""
