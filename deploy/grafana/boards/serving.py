"""The dashboard of those who run the serving processes: times, statuses, sources, load."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard
from deploy.grafana.queries import ANSWERS, chart, quantile, rate

SERVING = Dashboard(
    "endcap-serving",
    "Endcap: serving",
    "How fast, from where and how well requests are answered.",
    [
        chart("Time to answer, 99 %", (quantile(0.99, ANSWERS, "job", '{job=~"$job"}'), "{{job}}"), unit="s"),
        chart(
            "Time to answer, median", (quantile(0.5, ANSWERS, "job", '{job=~"$job"}'), "{{job}}"), unit="s"
        ),
        chart(
            "Answers by status",
            (rate(f"{ANSWERS}_count", "job, status", '{job=~"$job"}'), "{{job}} {{status}}"),
            unit="reqps",
        ),
        chart(
            "Refused requests",
            (rate("endcap_http_refused_total", "job, reason", '{job=~"$job"}'), "{{job}} {{reason}}"),
        ),
        chart(
            "Recommendations by source",
            (rate("endcap_recommender_answers_total", "source"), "{{source}}"),
            unit="reqps",
        ),
        chart(
            "Live scores by source",
            (rate("endcap_recommender_live_scores_total", "source"), "{{source}}"),
            unit="reqps",
        ),
        chart(
            "Time of a live score",
            (quantile(0.99, "endcap_recommender_score_seconds"), "99 %"),
            (quantile(0.5, "endcap_recommender_score_seconds"), "median"),
            unit="s",
        ),
        chart(
            "From an event to the history",
            (quantile(0.99, "endcap_recommender_freshness_seconds"), "99 %"),
            (quantile(0.5, "endcap_recommender_freshness_seconds"), "median"),
            unit="s",
        ),
        chart(
            "Placements",
            (rate("endcap_recommender_placement_answers_total", "placement"), "{{placement}}"),
            unit="reqps",
        ),
        chart(
            "Candidates left out by rules", (rate("endcap_recommender_rule_drops_total", "step"), "{{step}}")
        ),
        chart(
            "Wait in the event loop",
            ('max by (job) (endcap_http_loop_wait_seconds{job=~"$job"})', "{{job}}"),
            unit="s",
        ),
        chart("Connections", ('sum by (job) (endcap_http_connections{job=~"$job"})', "{{job}}")),
        chart(
            "Processor cores",
            ('sum by (job) (rate(process_cpu_seconds_total{job=~"$job"}[$__rate_interval]))', "{{job}}"),
        ),
        chart(
            "Memory", ('sum by (job) (process_resident_memory_bytes{job=~"$job"})', "{{job}}"), unit="bytes"
        ),
        chart(
            "Items in memory",
            ("max by (instance) (endcap_recommender_item_bytes)", "{{instance}}"),
            unit="bytes",
        ),
        chart(
            "Throttled calls", (rate("endcap_http_throttled_total", "scope, limit"), "{{scope}} {{limit}}")
        ),
    ],
    (("job", "label_values(endcap_process_info, job)"),),
)
