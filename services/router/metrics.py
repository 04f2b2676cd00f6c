"""The metrics of the router."""

from __future__ import annotations

from shared.observability import counter, gauge

ANSWERS = counter("endcap_router_answers_total", "Answers of the recommender, by HTTP status.", ["status"])
RUNNING = gauge("endcap_router_experiments_running", "Running experiments of all tenants.")
PAUSED = counter(
    "endcap_router_experiments_paused_total",
    "Experiments that the monitor paused, by reason: sample_ratio or guardrail.",
    ["reason"],
)
PERIODS = counter("endcap_router_bandit_periods_total", "Periods of bandits that began with new weights.")
OUTCOMES = counter("endcap_router_outcomes_total", "Events recorded as outcomes of experiments.")
