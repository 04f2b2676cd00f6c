"""The dashboard for everybody: answers, errors, events, coverage and age."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard
from deploy.grafana.queries import ANSWERS, FAILED, POPULAR, chart, rate, stat

OVERVIEW = Dashboard(
    "endcap-overview",
    "Endcap: overview",
    "Whether shops get recommendations from fresh data.",
    [
        stat("Answers per second", rate("endcap_recommender_answers_total"), "reqps"),
        stat(
            "Answers with popular items instead of lists",
            f"{rate('endcap_recommender_answers_total', where=POPULAR)}"
            f" / {rate('endcap_recommender_answers_total')}",
            "percentunit",
            0.2,
        ),
        stat(
            "Errors",
            f"{rate(f'{ANSWERS}_count', where=FAILED)} / {rate(f'{ANSWERS}_count')}",
            "percentunit",
            0.01,
        ),
        stat("Processes down", 'count(up{job=~"endcap.*"} == 0) or vector(0)', warning=1),
        stat("Events per second", rate("endcap_tracker_events_accepted_total"), "ops"),
        stat(
            "Lowest coverage of a shop",
            "min(endcap_loader_coverage_share)",
            "percentunit",
            0.9,
            is_low_bad=True,
        ),
        stat(
            "Oldest lists",
            "time() - min(endcap_loader_run_started_timestamp_seconds)",
            "s",
            3 * 86_400,
        ),
        stat("Largest consumer lag", "max(endcap_kafka_consumer_lag)", warning=10_000),
        chart(
            "Answers by source",
            (rate("endcap_recommender_answers_total", "source"), "{{source}}"),
            unit="reqps",
        ),
        chart(
            "Events by source",
            (rate("endcap_tracker_events_accepted_total", "source"), "{{source}}"),
            unit="ops",
        ),
        chart(
            "Age of the newest event",
            ("time() - max by (tenant) (endcap_analytics_newest_event_timestamp_seconds)", "{{tenant}}"),
            unit="s",
        ),
        chart("Errors by job", (rate(f"{ANSWERS}_count", "job", FAILED), "{{job}}"), unit="reqps"),
    ],
)
