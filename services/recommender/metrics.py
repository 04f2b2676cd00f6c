"""The metrics of the recommender."""

from __future__ import annotations

from shared.observability import counter, gauge, histogram

ANSWERS = counter(
    "endcap_recommender_answers_total", "Answers from lists, by source of the list.", ["source"]
)
LIVE = counter(
    "endcap_recommender_live_scores_total", "Answers of campaigns, by source of the items.", ["source"]
)
SCORE_SECONDS = histogram("endcap_recommender_score_seconds", "Time to score one request with a model.")
MODELS = gauge("endcap_recommender_models", "Campaigns whose model is in memory.")
MODEL_LOADS = counter("endcap_recommender_model_loads_total", "Loads of models, by outcome.", ["outcome"])
EVENTS = counter(
    "endcap_recommender_events_total", "Interactions added to histories, or skipped.", ["outcome"]
)
FRESHNESS = histogram(
    "endcap_recommender_freshness_seconds",
    "Time from the tracker's receipt of an interaction to its write to Redis.",
)
OVERRIDES = gauge("endcap_recommender_overrides", "Overrides of all tenants that have not expired.")
PUTS = counter("endcap_recommender_override_puts_total", "Overrides put, by outcome.", ["outcome"])
OVERRIDES_COPIED = counter(
    "endcap_recommender_overrides_copied_total",
    "Overrides that the worker copied to Redis, because Redis was unavailable or lost them.",
)
GRAPHQL_REQUESTS = counter(
    "endcap_recommender_graphql_requests_total",
    "GraphQL requests, by kind of operation and outcome.",
    ["operation", "outcome"],
)
GRAPHQL_DOCUMENTS = counter(
    "endcap_recommender_graphql_documents_total",
    "Query texts that were parsed because they were not remembered.",
)
SUBSCRIPTIONS = gauge("endcap_recommender_graphql_subscriptions", "Running subscriptions of GraphQL.")
SUBSCRIPTION_MESSAGES = counter(
    "endcap_recommender_graphql_messages_total",
    "Recommendations sent to subscriptions, or dropped.",
    ["outcome"],
)
REFILLED = counter("endcap_recommender_refilled_total", "Interactions read again after Redis lost data.")
ITEMS = gauge("endcap_recommender_items", "Items of all tenants in memory.")
ITEM_BYTES = gauge("endcap_recommender_item_bytes", "Estimated memory of the items of all tenants.")
LONG_FACT_BYTES = gauge(
    "endcap_recommender_long_fact_bytes", "Bytes of long item properties that are stored in a file."
)
DROPPED_HISTORIES = counter(
    "endcap_recommender_histories_dropped_total",
    "Users and sessions whose history was dropped because their tenant exceeded its memory budget.",
)
STREAMS = gauge("endcap_recommender_streams", "Open streams of placements.")
STREAM_EVENTS = counter(
    "endcap_recommender_stream_events_total",
    "Events of streams: a `list` sent, a `heartbeat`, and streams `refused` because there were too many.",
    ["kind"],
)
PLACEMENTS = counter(
    "endcap_recommender_placement_answers_total",
    "Answers of placements, by placement (the first hundred names, then `other`) and strategy of the first "
    "item (`none` without items).",
    ["placement", "strategy"],
)
ASSIGNED = counter(
    "endcap_recommender_assigned_total",
    "Requests that were answered by a variant.",
    ["experiment", "variant"],
)
EXPOSED_SECONDS = histogram(
    "endcap_recommender_exposed_seconds",
    "Time of the first answer of a day to a unit of a variant, without HTTP.",
    ["experiment", "variant"],
)
EXPOSED_FALLBACKS = counter(
    "endcap_recommender_exposed_fallbacks_total",
    "First answers of a day to a unit in which popular items stood in for those of the variant's strategy.",
    ["experiment", "variant"],
)
SHADOWS = counter(
    "endcap_recommender_shadow_answers_total",
    "Answers of variants that nobody sees: answered, failed, or dropped because too many waited.",
    ["outcome"],
)
COMPARED = counter(
    "endcap_recommender_compared_answers_total",
    "Answers compared with those of the other variants, for triggered analysis: compared, failed, or dropped "
    "because too many waited.",
    ["outcome"],
)
SET_ASIDE = counter(
    "endcap_recommender_variants_set_aside_total",
    "Requests answered as if there were no experiment, because the variant's strategy could not be.",
    ["experiment", "variant"],
)
EXPOSURES = counter(
    "endcap_recommender_exposures_total",
    "Exposures: published, repeated on the same day, taken_over from a killed process, or lost.",
    ["outcome"],
)
WAITING = gauge("endcap_recommender_exposures_waiting", "Exposures that wait to be published.")
RUNNING = gauge("endcap_recommender_experiments_running", "Running experiments of all tenants.")
RULE_DROPS = counter(
    "endcap_recommender_rule_drops_total", "Candidates that rules of placements left out, by step.", ["step"]
)
RULE_PROBLEMS = counter(
    "endcap_recommender_rule_problems_total",
    "Rules of placements that could not be applied to a request, by kind.",
    ["kind"],
)
SERVINGS = counter(
    "endcap_servings_total",
    "Answers that were published on servings-v1, or dropped because Kafka was away for too long.",
    ["outcome"],
)
SERVINGS_LOST = counter(
    "endcap_servings_lost_total",
    "Answers of killed processes that were not published; counted by the next process.",
)
SERVINGS_WAITING = gauge("endcap_servings_waiting_bytes", "Bytes of servings that wait for Kafka.")
LOOKUPS = counter(
    "endcap_servings_lookups_total", "Requests for what an answer showed, by outcome.", ["outcome"]
)
