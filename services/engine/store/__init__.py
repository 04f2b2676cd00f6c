"""Postgres and the object store, as the engine uses them: nothing else knows either."""
