"""Tracker: what users do in a shop, from every wire format → one log of interactions.

Owns        the interaction log: each event once, and counts per type
Consumes    orders-v1 (each line of an order is a purchase), interactions-v1 (to store),
            erasures-v1; trackers-v1 (read whole)
Publishes   interactions-v1, puts-v1, erasure-receipts-v1
HTTP        POST /v1/events, /api/personalize/track/…, Personalize PutEvents, PutItems and PutUsers

When it fails   a 2xx means that Kafka has the event; while Kafka is away the answer is 503 with Retry-After
                within 2.5 seconds. The store may be away for as long as Kafka keeps the events: it goes on
                where it stopped, and an event that comes again changes nothing.
"""
