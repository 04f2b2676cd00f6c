"""The metrics of sync."""

from __future__ import annotations

from shared.observability import counter, gauge, histogram

IMPORTS = counter("endcap_sync_imports_total", "Imports that ended.", ["kind", "status"])
ROWS = counter("endcap_sync_rows_total", "Rows of imported files, by outcome.", ["kind", "outcome"])
REJECTS = counter("endcap_sync_rejects_total", "Rejected rows, by reason.", ["kind", "reason"])
SECONDS = histogram(
    "endcap_sync_import_seconds",
    "Duration of an import.",
    ["kind"],
    buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600),
)
STATES_REJECTED = counter(
    "endcap_sync_states_refused_total",
    "Updates of items and users that were rejected when merged: too large, or beyond a quota.",
    ["kind", "reason"],
)
UPLOADS = counter("endcap_sync_uploads_total", "Uploaded objects, from notices and sweeps.", ["outcome"])
PUTS = counter("endcap_sync_puts_total", "Merged puts of items and users.", ["kind"])
DELIVERIES = counter("endcap_sync_deliveries_total", "Deliveries of sources that were settled.", ["status"])
WEBHOOKS = counter(
    "endcap_sync_webhooks_total",
    "Webhooks received: stored, repeated, or refused for their signature.",
    ["format", "outcome"],
)
PULLS = counter("endcap_sync_pulls_total", "Runs of sources that are asked, by outcome.", ["kind", "outcome"])
PULLED = counter(
    "endcap_sync_pulled_total", "Objects that sources answered, by whether they changed.", ["outcome"]
)
PULL_REQUESTS = counter("endcap_sync_pull_requests_total", "Requests to sources, by outcome.", ["outcome"])
INBOX_WAITING = gauge("endcap_sync_inbox_waiting", "Deliveries of sources that are not merged yet.")
INBOX_OLDEST = gauge(
    "endcap_sync_inbox_oldest_age_seconds", "Age of the oldest delivery that is not merged yet."
)
