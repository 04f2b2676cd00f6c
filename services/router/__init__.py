"""Router: answer each request by the variant of its unit, and measure what followed.

Owns        experiments, which units were exposed to which variant, and their outcomes
Consumes    exposures-v1, interactions-v1, servings-v1 (worker, to count), erasures-v1
Publishes   exposures-v1 (VariantExposed), erasure-receipts-v1 (UserErased)
HTTP        the recommender's API, proxied; experiments and their results

When it fails   a variant is computed from the unit alone, so no outage changes an assignment. Without
                Postgres the experiments last read go on; without Kafka exposures wait in memory, and losses
                are counted. If a variant's strategy cannot be answered, the answer is as without it.
"""
