"""The metrics of the router."""

from __future__ import annotations

from shared.observability import counter, gauge

ANSWERS = counter("endcap_router_answers_total", "Answers of the recommender, by HTTP status.", ["status"])
ASSIGNED = counter(
    "endcap_router_assigned_total", "Requests that were answered by a variant.", ["experiment", "variant"]
)
SET_ASIDE = counter(
    "endcap_router_variants_set_aside_total",
    "Requests answered as if there were no experiment, because the variant's strategy could not be.",
    ["experiment", "variant"],
)
EXPOSURES = counter(
    "endcap_router_exposures_total", "Exposures: published, repeated on the same day, or lost.", ["outcome"]
)
WAITING = gauge("endcap_router_exposures_waiting", "Exposures that wait to be published.")
RUNNING = gauge("endcap_router_experiments_running", "Running experiments of all tenants.")
OUTCOMES = counter("endcap_router_outcomes_total", "Events recorded as outcomes of experiments.")
