"""Tracker: records what users do in a shop, in several wire formats, in one log of interactions.

Owns        the interaction log (each event once) and counts by type
Consumes    orders-v1 (each line of an order is a purchase), interactions-v1 (to store),
            erasures-v1; trackers-v1 (read whole)
Publishes   interactions-v1, puts-v1, erasure-receipts-v1
HTTP        POST /v1/events, /api/personalize/track/…, Personalize PutEvents, PutItems and PutUsers

Failures    A 2xx means that Kafka has the event. While Kafka is unavailable, requests get a 503 with
            Retry-After within 2.5 seconds. Postgres may be unavailable for as long as Kafka retains the
            events: the worker continues where it stopped, and a repeated event changes nothing.
"""
