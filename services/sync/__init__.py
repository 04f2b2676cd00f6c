"""sync: the state of the shop's orders, items and users.

Owns       orders with their versions, order_items, items, users; imports and their rejected rows; sources and
           the inbox of their deliveries; the outbox.
Consumes   uploads-v1 (files put into the object store), puts-v1 (fields that storefronts put), erasures-v1.
Publishes  orders-v1, items-v1, users-v1, interactions-v1 (from files and carts), training-requests-v1,
           erasure-receipts-v1.

Failures   Postgres unavailable: requests get a 503, workers wait. Kafka unavailable: everything continues,
           and the outbox grows. Object store unavailable: a posted file gets a 503, and running imports wait
           for their next attempt.
"""
