"""The statements in the engine's queries.sql, by name."""

from pathlib import Path

from shared.postgres import statements

SQL = statements(Path(__file__).parent.with_name("queries.sql"))
