"""Loader: finished batches → generations of recommendations in Postgres and Redis.

Owns        generations, their lists (one partition each), which generation of a recipe is active
Consumes    batches-v1 (BatchCompleted, BatchFailed), erasures-v1 (UserErasureRequested)
Publishes   caches-v1 (CacheRefreshed), erasure-receipts-v1 (UserErased)
HTTP        generations, and going back to an earlier one

When it fails   what is active stays active: a generation becomes visible whole, in one transaction, or
                not at all. A load that was cut off begins again; Redis is brought to what Postgres says
                within seconds, also after Redis has lost everything. A refused generation says why.
"""
