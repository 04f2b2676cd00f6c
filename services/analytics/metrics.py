"""The metrics of analytics."""

from __future__ import annotations

from shared.observability import counter, gauge, histogram

SERVINGS = counter("endcap_analytics_answers_total", "Answers counted, each once.")
EVENTS = counter("endcap_analytics_events_total", "Events counted, each once.")
PURCHASES = counter(
    "endcap_analytics_attributions_total", "Changes of what purchases are attributed to.", ["outcome"]
)
OUTDATED = counter(
    "endcap_analytics_outdated_total", "Records older than ANALYTICS_FACTS_DAYS, which are not counted."
)
LAKE_ROWS = counter("endcap_analytics_lake_rows_total", "Rows added to the event lake.", ["table"])
LAKE_FILES = counter("endcap_analytics_lake_files_removed_total", "Files removed from the event lake.")
QUERIES = counter("endcap_analytics_queries_total", "SQL queries, by outcome.", ["outcome"])
REPORT_SECONDS = histogram(
    "endcap_analytics_report_computation_seconds",
    "Durations of computing reports of orders, of one selection or of all.",
    buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
)
REPORTS_AT = gauge(
    "endcap_analytics_reports_computed_timestamp_seconds",
    "When the orders of the newest complete computation of reports were read, in seconds since 1970.",
)
DELETED = counter("endcap_analytics_deleted_total", "Rows deleted because of their age.", ["table"])
NEWEST_EVENT = gauge(
    "endcap_analytics_newest_event_timestamp_seconds",
    "When the newest event of a tenant happened, in seconds since 1970.",
    ["tenant"],
)
