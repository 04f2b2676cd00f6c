"""Values and types as Athena writes them: texts of cells, names of types, and the file of a result.

https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

_TYPES: Final = {
    "VARCHAR": "varchar",
    "BIGINT": "bigint",
    "HUGEINT": "bigint",
    "UBIGINT": "bigint",
    "UHUGEINT": "bigint",
    "INTEGER": "integer",
    "UINTEGER": "bigint",
    "SMALLINT": "smallint",
    "USMALLINT": "integer",
    "TINYINT": "tinyint",
    "UTINYINT": "smallint",
    "DOUBLE": "double",
    "FLOAT": "float",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "BLOB": "varbinary",
    "UUID": "varchar",
    "JSON": "varchar",
}
_PRECISIONS: Final = {
    "varchar": 2_147_483_647,
    "bigint": 19,
    "integer": 10,
    "smallint": 5,
    "tinyint": 3,
    "double": 17,
    "float": 17,
    "timestamp": 3,
    "timestamp with time zone": 3,
    "varbinary": 1_073_741_824,
}
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_GLUE_TYPES: Final = {
    "varchar": "string",
    "integer": "int",
    "timestamp with time zone": "timestamp",
    "varbinary": "binary",
}


def type_of(duckdb_type: str) -> tuple[str, int, int]:
    """Return Athena's name of a type of DuckDB, its precision and its scale."""
    if duckdb_type.endswith("[]") or re.search(r"\[\d+\]$", duckdb_type):
        return "array", 0, 0
    if duckdb_type.startswith("STRUCT"):
        return "row", 0, 0
    if duckdb_type.startswith("MAP"):
        return "map", 0, 0
    match = _DECIMAL.fullmatch(duckdb_type)
    if match is not None:
        return "decimal", int(match[1]), int(match[2])
    name = _TYPES.get(duckdb_type, "varchar")
    return name, _PRECISIONS.get(name, 0), 0


def glue_type(duckdb_type: str) -> str:
    """Return the name that Glue's tables have for a type of DuckDB, such as `array<string>`."""
    if duckdb_type.endswith("[]"):
        return f"array<{glue_type(duckdb_type.removesuffix('[]'))}>"
    if duckdb_type.startswith("STRUCT("):
        fields = _fields(duckdb_type[len("STRUCT(") : -1])
        return f"struct<{','.join(f'{name}:{glue_type(kind)}' for name, kind in fields)}>"
    name, precision, scale = type_of(duckdb_type)
    if name == "decimal":
        return f"decimal({precision},{scale})"
    return _GLUE_TYPES.get(name, name)


def column(name: str, duckdb_type: str) -> dict[str, Any]:
    """Return the ColumnInfo of a result's column."""
    kind, precision, scale = type_of(duckdb_type)
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": kind,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": kind == "varchar",
    }


def text_of(value: Any) -> str | None:  # noqa: C901, PLR0911 - one case for each type
    """Return a cell as Athena writes it; None for NULL."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case datetime():
            return _time(value)
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case float():
            return _double(value)
        case bytes() | bytearray() | memoryview():
            return " ".join(f"{byte:02x}" for byte in bytes(value))
        case list() | tuple():
            return f"[{', '.join(_inner(each) for each in value)}]"
        case dict():
            return f"{{{', '.join(f'{_inner(key)}={_inner(each)}' for key, each in value.items())}}}"
    return str(value)


def csv_file(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> bytes:
    """Return the file of a result: a header, every value in quotation marks, nothing for NULL."""
    lines = [",".join(_quoted(name) for name in names)]
    lines += [",".join("" if cell is None else _quoted(cell) for cell in row) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def text_file(rows: Iterable[Sequence[str | None]]) -> bytes:
    """Return the file of a statement that is no query: values with tabs between them."""
    return ("\n".join("\t".join(cell or "" for cell in row) for row in rows) + "\n").encode()


def row(cells: Iterable[str | None]) -> Mapping[str, Any]:
    """Return a Row of a ResultSet."""
    return {"Data": [{} if cell is None else {"VarCharValue": cell} for cell in cells]}


def _inner(value: Any) -> str:
    return "null" if value is None else text_of(value) or ""


def _time(value: datetime) -> str:
    local = value if value.tzinfo is None else value.astimezone(UTC)
    text = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}"
    return text if value.tzinfo is None else f"{text} UTC"


def _double(value: float) -> str:
    """Return a double as Java writes it: NaN, Infinity, and an exponent from 10 million on."""
    if value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
        return "NaN"
    if value in {float("inf"), float("-inf")}:
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return _plain(value)
    mantissa, _, exponent = f"{Decimal(repr(value)).normalize():E}".partition("E")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}E{int(exponent)}"


def _plain(value: float) -> str:
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


def _quoted(text: str) -> str:
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def _fields(text: str) -> list[tuple[str, str]]:
    """Return the names and types of a STRUCT's fields."""
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(f"{text},"):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            name, _, kind = text[begin:place].strip().partition(" ")
            parts.append((name.strip('"'), kind.strip()))
            begin = place + 1
    return parts
