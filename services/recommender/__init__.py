"""Recommender: answer every request for recommendations, whatever is unavailable.

Owns        nothing; histories and purchases of the last days are in Redis, and can be refilled
Consumes    interactions-v1, users-v1, erasures-v1 (worker)
Reads whole caches-v1, items-v1, campaigns-v1, filters-v1 (serve), erasures-v1 (every process)
Publishes   erasure-receipts-v1
HTTP        recommendations by placement and by REST, and the runtime API of Amazon Personalize

When it fails   a list comes from Redis, else from Postgres, else from popularity lists in memory; the
                answer names its source. Without Redis and Postgres it still answers within 150 ms.
"""
