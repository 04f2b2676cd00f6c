"""Redis, Postgres, the object store and local files, as the recommender uses them."""

from pathlib import Path

from shared.postgres import statements

SQL = statements(Path(__file__).parents[1] / "queries.sql")
