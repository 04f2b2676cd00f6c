"""Router: who is recommended by which strategy, and what came of it.

Owns        experiments, who was exposed to which variant, what those did afterwards
Consumes    exposures-v1, interactions-v1 (worker, to count), erasures-v1
Publishes   exposures-v1 (VariantExposed), erasure-receipts-v1 (UserErased)
HTTP        everything the recommender answers, passed through; experiments and their results

When it fails   a variant is computed from the unit alone, so no outage moves anybody. Without Postgres the
                experiments last read go on; without Kafka exposures wait in memory, and losses are counted.
                A variant whose strategy can't be answered is answered as if there were no experiment.
"""
