"""The dashboard's named SQL."""

from __future__ import annotations

from pathlib import Path

from shared.postgres import statements

SQL = statements(Path(__file__).parents[1] / "queries.sql")
