"""The engine's named SQL."""

from pathlib import Path

from shared.postgres import statements

SQL = statements(Path(__file__).parent.with_name("queries.sql"))
