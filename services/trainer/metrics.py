"""Metrics of the trainer."""

from __future__ import annotations

from shared.observability import counter, histogram

RUNS = counter(
    "endcap_trainer_runs_total",
    "Runs that ended, by outcome (completed, failed, cancelled, timed_out) and kind.",
    ["outcome", "kind"],
)
SCOPE = counter(
    "endcap_trainer_overlay_lists_total",
    "Users and items that got lists between trainings, by reason: vip_users, new_users, new_items.",
    ["reason"],
)
STEP_SECONDS = histogram(
    "endcap_trainer_step_seconds",
    "How long a step of a run took.",
    ["step"],
    buckets=(0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0),
)
DUE_TIMES = counter(
    "endcap_trainer_due_times_total",
    "Times of schedules that were due, by outcome: requested, too late, no data.",
    ["outcome"],
)
