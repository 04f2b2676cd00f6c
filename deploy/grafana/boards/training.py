"""The dashboard of those who train: runs, generations, and the quality of lists."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard
from deploy.grafana.queries import chart, quantile, rate

_LISTS = '{tenant=~"$tenant"}'

TRAINING = Dashboard(
    "endcap-training",
    "Endcap: training and lists",
    "Whether runs succeed, and how good and fresh the lists are that they make.",
    [
        chart("Runs in a day", ("sum by (outcome) (increase(endcap_trainer_runs_total[1d]))", "{{outcome}}")),
        chart(
            "Generations in a day",
            ("sum by (outcome) (increase(endcap_loader_generations_total[1d]))", "{{outcome}}"),
        ),
        chart(
            "Time of a step, 95 %",
            (
                quantile(0.95, "endcap_trainer_step_seconds", "step", window="1d"),
                "{{step}}",
            ),
            unit="s",
        ),
        chart(
            "Time of a training, 95 %",
            (
                quantile(0.95, "endcap_engine_training_seconds", "recipe", window="1d"),
                "{{recipe}}",
            ),
            unit="s",
        ),
        chart(
            "Coverage",
            (f"min by (tenant, kind) (endcap_loader_coverage_share{_LISTS})", "{{tenant}} {{kind}}"),
            unit="percentunit",
            about="Share of the users with an interaction, or of the items on sale, that have a list.",
        ),
        chart(
            "Age of lists",
            (
                f"time() - max by (tenant, recipe) (endcap_loader_run_started_timestamp_seconds{_LISTS})",
                "{{tenant}} {{recipe}}",
            ),
            unit="s",
        ),
        chart(
            "Age of models",
            (
                f"time() - max by (tenant, campaign) (endcap_engine_model_trained_timestamp_seconds{_LISTS})",
                "{{tenant}} {{campaign}}",
            ),
            unit="s",
        ),
        chart(
            "Items that are listed",
            (f"max by (tenant, recipe) (endcap_loader_catalogue_share{_LISTS})", "{{tenant}} {{recipe}}"),
            unit="percentunit",
        ),
        chart(
            "Lists that changed",
            (f"max by (tenant, recipe) (endcap_loader_changed_lists_share{_LISTS})", "{{tenant}} {{recipe}}"),
            unit="percentunit",
        ),
        chart(
            "Rank overlap with the lists before",
            (f"max by (tenant, recipe) (endcap_loader_rank_overlap{_LISTS})", "{{tenant}} {{recipe}}"),
        ),
        chart(
            "Concentration (Gini)",
            (f"max by (tenant, recipe) (endcap_loader_listed_items_gini{_LISTS})", "{{tenant}} {{recipe}}"),
        ),
        chart(
            "Popularity lift",
            (f"max by (tenant, recipe) (endcap_loader_popularity_lift{_LISTS})", "{{tenant}} {{recipe}}"),
        ),
        chart(
            "Failed jobs in a day",
            ("sum by (kind) (increase(endcap_engine_failed_jobs_total[1d]))", "{{kind}}"),
        ),
        chart(
            "Rejected lines in a day",
            ("sum by (recipe) (increase(endcap_loader_rejected_lines_total[1d]))", "{{recipe}}"),
        ),
        chart("Tenants whose Redis is behind", ("max(endcap_loader_redis_behind)", "tenants")),
        chart("Loads of models", (rate("endcap_recommender_model_loads_total", "outcome"), "{{outcome}}")),
    ],
    (("tenant", "label_values(endcap_loader_coverage_share, tenant)"),),
)
