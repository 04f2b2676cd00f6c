"""Analytics: what recommendations showed, and what followed.

Owns        aggregates by hour and day of answers, impressions, clicks, purchases, orders and events; the
            event lake in the object store; reports of orders
Consumes    servings-v1, interactions-v1, orders-v1, exposures-v1, batches-v1, erasures-v1 (worker)
Publishes   erasure-receipts-v1 (UserErased)
HTTP        metrics of placements, strategies and variants, and of the shop as a whole; SQL; reports of
            orders, also as dashboards of existing shops read them

When it fails   nothing waits for it: records stay on their topics, and figures follow when it is back.
                Records that arrive twice, late or in another order change no figure.
"""
