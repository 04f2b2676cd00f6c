"""Redis, Postgres and the object store, as the recommender uses them."""
