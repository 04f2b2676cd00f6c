"""Jobs of the engine: work that a worker leases, which reads and writes Postgres."""
