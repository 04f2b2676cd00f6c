"""Metrics of the loader."""

from __future__ import annotations

from shared.observability import counter, gauge, histogram

GENERATIONS = counter(
    "endcap_loader_generations_total",
    "Loads that ended, by outcome: activated, loaded (but not activated), refused, failed.",
    ["outcome"],
)
LISTS = counter("endcap_loader_lists_total", "Lists copied into Postgres.", ["recipe"])
REJECTED = counter("endcap_loader_rejected_lines_total", "Lines that can't be used.", ["recipe"])
LOAD_SECONDS = histogram(
    "endcap_loader_load_seconds",
    "From the start of a load to its activation, by phase: copy, redis, all.",
    ["phase"],
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
)
REDIS_BEHIND = gauge(
    "endcap_loader_redis_behind", "Tenants whose lists or pointer in Redis are not up to date with Postgres."
)
RUN_STARTED = gauge(
    "endcap_loader_run_started_timestamp_seconds",
    "When the run began whose lists are served, in seconds since 1970.",
    ["tenant", "recipe"],
)
COVERAGE = gauge(
    "endcap_loader_coverage_share",
    "Share of the users with an interaction, or of the items on sale, that have a list.",
    ["tenant", "kind"],
)
CATALOGUE_SHARE = gauge(
    "endcap_loader_catalogue_share",
    "Share of the items on sale that are in a list that is served.",
    ["tenant", "recipe"],
)
GINI = gauge(
    "endcap_loader_listed_items_gini",
    "Gini coefficient of how often items are in lists that are served: 0 is even, near 1 is few items.",
    ["tenant", "recipe"],
)
POPULARITY_LIFT = gauge(
    "endcap_loader_popularity_lift",
    "By which share listed items are more popular than the items of interactions.",
    ["tenant", "recipe"],
)
CHANGED_SHARE = gauge(
    "endcap_loader_changed_lists_share",
    "Share of lists that differ from those of the generation before.",
    ["tenant", "recipe"],
)
RANK_OVERLAP = gauge(
    "endcap_loader_rank_overlap",
    "Mean average overlap of the first ten places with the lists of the generation before.",
    ["tenant", "recipe"],
)
