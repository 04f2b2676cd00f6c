"""What the router counts."""

from __future__ import annotations

from shared.observability import counter, gauge

ANSWERS = counter("endcap_router_answers_total", "Answers of the recommender, handed on.", ["status"])
ASSIGNED = counter(
    "endcap_router_assigned_total", "Requests that a variant answered.", ["experiment", "variant"]
)
SET_ASIDE = counter(
    "endcap_router_variants_set_aside_total",
    "Requests answered as if there were no experiment, because the variant's strategy could not be.",
    ["experiment", "variant"],
)
EXPOSURES = counter(
    "endcap_router_exposures_total", "Exposures: published, seen before on that day, or lost.", ["outcome"]
)
WAITING = gauge("endcap_router_exposures_waiting", "Exposures that wait for Kafka.")
RUNNING = gauge("endcap_router_experiments_running", "Experiments that are running, of all tenants.")
OUTCOMES = counter("endcap_router_outcomes_total", "Events counted for experiments.")
