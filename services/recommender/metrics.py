"""What the recommender counts."""

from __future__ import annotations

from shared.observability import counter, gauge, histogram

ANSWERS = counter(
    "endcap_recommender_answers_total", "Lists that were answered, by where they came from.", ["source"]
)
LIVE = counter(
    "endcap_recommender_live_scores_total", "Answers of campaigns, by what scored them.", ["source"]
)
SCORE_SECONDS = histogram("endcap_recommender_score_seconds", "Scoring one request by a model.")
MODELS = gauge("endcap_recommender_models", "Campaigns whose model is in memory.")
MODEL_LOADS = counter(
    "endcap_recommender_model_loads_total", "Models fetched, loaded or failed.", ["outcome"]
)
EVENTS = counter(
    "endcap_recommender_events_total", "Interactions taken into histories, or passed over.", ["outcome"]
)
FRESHNESS = histogram(
    "endcap_recommender_freshness_seconds",
    "From the tracker's receipt of an interaction to its place in Redis.",
)
REFILLED = counter("endcap_recommender_refilled_total", "Interactions read again after Redis lost them.")
ITEMS = gauge("endcap_recommender_items", "Items of all tenants in memory.")
ITEM_BYTES = gauge("endcap_recommender_item_bytes", "Memory that the items of all tenants take, roughly.")
LONG_FACT_BYTES = gauge(
    "endcap_recommender_long_fact_bytes", "Facts of items that are too long for memory, in a file on disk."
)
DROPPED_HISTORIES = counter(
    "endcap_recommender_histories_dropped_total",
    "Users and sessions whose history was dropped because their tenant's took too much of Redis.",
)
