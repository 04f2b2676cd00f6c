"""The named SQL of sync."""

from pathlib import Path

from shared.postgres import statements

SQL = statements(Path(__file__).parents[1] / "queries.sql")
