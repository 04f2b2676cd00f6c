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
