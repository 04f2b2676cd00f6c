"""The named SQL of sync."""

from pathlib import Path

from shared.postgres import statements

PATIENCE = 3_600.0
"""Seconds for a statement over all the rows of a file, which may be many millions."""

SQL = statements(Path(__file__).parents[1] / "queries.sql")
