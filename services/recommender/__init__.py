"""Selection: who asks for recommendations gets some, always.

Owns        nothing; it keeps histories and purchases of the last days in Redis, which can be made anew
Consumes    interactions-v1, users-v1, erasures-v1 (worker)
Reads whole caches-v1, items-v1, campaigns-v1, filters-v1 (serve), erasures-v1 (every process)
Publishes   erasure-receipts-v1
HTTP        recommendations by REST, GetRecommendations and GetPersonalizedRanking of Amazon Personalize

When it fails   a list comes from Redis, else from Postgres, else from what is popular and kept in memory;
                the answer says which. With Redis and Postgres away it still answers within 150 ms.
"""
