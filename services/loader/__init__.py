"""Loader: load finished batches as generations of recommendations into Postgres and Redis.

Owns        generations, their lists (one partition each) with figures of their quality, which generation of
            a recipe is active
Consumes    batches-v1 (BatchCompleted, BatchFailed), erasures-v1 (UserErasureRequested)
Publishes   caches-v1 (CacheRefreshed), erasure-receipts-v1 (UserErased)
HTTP        generations, rolling back to an earlier one, quality of lists

When it fails   what is active stays active: a generation becomes visible whole, in one transaction, or
                not at all. An interrupted load starts again. Redis follows Postgres within seconds, even
                after it has lost all data. A refused generation has a reason.
"""
