"""sync: the one state of the shop's orders, items and users.

Owns       orders, order_items, items, users; imports and what they refused; the outbox.
Consumes   uploads-v1 (files put into the object store), puts-v1 (fields that storefronts put), erasures-v1.
Publishes  orders-v1, items-v1, users-v1, interactions-v1 (from files), training-requests-v1,
           erasure-receipts-v1.

Postgres away: 503, and workers wait. Kafka away: everything goes on, and the outbox grows. The object store
away: an import is taken back with a 503, or waits for its next attempt.
"""
