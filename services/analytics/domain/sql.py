"""SQL of callers: one SELECT in Trino's dialect (Athena's), checked and translated to DuckDB's."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from shared.errors import ApiError

Dialect = Literal["trino", "duckdb"]

LAKE_VIEWS: Final = ("interactions", "orders", "order_items", "servings", "exposures")
CATALOGUE_VIEWS: Final = ("items", "users")
VIEWS: Final = (*LAKE_VIEWS, *CATALOGUE_VIEWS)
"""The tables that a query can read."""

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of statements that are refused below

DATABASE: Final = "endcap"
CATALOGS: Final = frozenset(("awsdatacatalog", "memory"))

MAX_CHARACTERS: Final = 262_144
"""The limit of Athena."""

_REFUSED_FUNCTIONS: Final = (
    "read_",
    "parquet_",
    "glob",
    "sniff_",
    "duckdb_",
    "pragma_",
    "getenv",
    "query",
    "which_",
)


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query in DuckDB's dialect, and the views that it reads."""

    text: str
    views: frozenset[str]


def checked(text: str, dialect: Dialect, database: str = DATABASE) -> Query:
    """Return the query to run; raises ApiError 400 for anything but one SELECT over the views."""
    if len(text) > MAX_CHARACTERS:
        raise _refused(f"the query has more than {MAX_CHARACTERS:,} characters")
    try:
        statements = [each for each in sqlglot.parse(text, read=dialect) if each is not None]
    except (SqlglotError, RecursionError, ValueError) as error:
        raise _refused(str(error).split("\n", 1)[0][:500]) from None
    if len(statements) != 1:
        raise _refused("send one statement")
    statement = statements[0]
    if not isinstance(statement, exp.Query):
        raise _refused(f"{statement.key.upper()} is not possible here; send a SELECT")
    views = _views(statement, database)
    try:
        return Query(statement.sql(dialect="duckdb"), views)
    except (SqlglotError, RecursionError, ValueError) as error:
        raise _refused(str(error)[:500]) from None


def _views(statement: exp.Query, database: str) -> frozenset[str]:
    """Return the views that a statement reads, and make their names plain; raises ApiError 400."""
    if next(statement.find_all(exp.Into, exp.Command, exp.Copy, exp.Attach, exp.Set, exp.Pragma), None):
        raise _refused("a query can only read")
    for function in statement.find_all(exp.Func):
        name = (function.name if isinstance(function, exp.Anonymous) else function.sql_name()).lower()
        if name.startswith(_REFUSED_FUNCTIONS):
            raise _refused(f"the function {name} is not possible here")
    own_names = {each.alias_or_name.lower() for each in statement.find_all(exp.CTE)}
    views: set[str] = set()
    for table in statement.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise _refused(f"{table.sql()[:100]} is no table; there are {', '.join(VIEWS)}")
        name = table.name.lower()
        if not table.db and name in own_names:
            views |= {name} & set(VIEWS)  # a common table expression may read the view of the same name
            continue
        if table.catalog and table.catalog.lower() not in CATALOGS:
            raise _refused(f"there is no catalog {table.catalog}")
        if (table.db and table.db.lower() not in {database.lower(), DATABASE, "main"}) or name not in VIEWS:
            raise _refused(f"there is no table {table.sql()[:200]}; there are {', '.join(VIEWS)}")
        table.set("db", None)
        table.set("catalog", None)
        table.set("this", exp.to_identifier(name))
        views.add(name)
    return frozenset(views)


def _refused(reason: str) -> ApiError:
    return ApiError(400, "InvalidQuery", f"The query was refused: {reason}.")
