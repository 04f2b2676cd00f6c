"""sync's named SQL statements."""

from pathlib import Path

from shared.postgres import statements

FILE_TIMEOUT_SECONDS = 3_600.0
"""Timeout of a statement over all rows of a file, which may be many millions."""

SQL = statements(Path(__file__).parents[1] / "queries.sql")
