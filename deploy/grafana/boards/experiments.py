"""The dashboard of those who experiment: variants, exposures, pauses."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard
from deploy.grafana.queries import chart, rate, stat

EXPERIMENTS = Dashboard(
    "endcap-experiments",
    "Endcap: experiments",
    "Whether experiments assign, expose and count as they should. Results are on Endcap's own dashboard.",
    [
        stat("Running experiments", "max(endcap_router_experiments_running)"),
        stat(
            "Paused by the monitor in a day",
            "sum(increase(endcap_router_experiments_paused_total[1d])) or vector(0)",
            warning=1,
        ),
        stat("Exposures that wait", "sum(endcap_recommender_exposures_waiting)"),
        stat("Outcomes per second", rate("endcap_router_outcomes_total"), "ops"),
        chart(
            "Answers by variant",
            (rate("endcap_recommender_assigned_total", "experiment, variant"), "{{experiment}} {{variant}}"),
            unit="reqps",
        ),
        chart(
            "Variants set aside",
            (
                rate("endcap_recommender_variants_set_aside_total", "experiment, variant"),
                "{{experiment}} {{variant}}",
            ),
            unit="reqps",
            about="Answered as if there were no experiment, because the variant's strategy could not be.",
        ),
        chart(
            "Exposures", (rate("endcap_recommender_exposures_total", "outcome"), "{{outcome}}"), unit="ops"
        ),
        chart(
            "Shadow answers",
            (rate("endcap_recommender_shadow_answers_total", "outcome"), "{{outcome}}"),
            unit="ops",
        ),
        chart(
            "Pauses by reason in a day",
            ("sum by (reason) (increase(endcap_router_experiments_paused_total[1d]))", "{{reason}}"),
        ),
        chart(
            "New weights of bandits in an hour",
            ("sum(increase(endcap_router_bandit_periods_total[1h]))", "periods"),
        ),
        chart(
            "Answers of the router by status",
            (rate("endcap_router_answers_total", "status"), "{{status}}"),
            unit="reqps",
        ),
        chart(
            "Counted answers and events",
            (rate("endcap_analytics_answers_total"), "answers"),
            (rate("endcap_analytics_events_total"), "events"),
            unit="ops",
        ),
    ],
)
