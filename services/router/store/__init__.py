"""Postgres, Kafka's publisher and the recommender, as the router uses them."""

from pathlib import Path

from shared.postgres import statements

SQL = statements(Path(__file__).parents[1] / "queries.sql")
