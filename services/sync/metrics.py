"""Every metric of sync."""

from __future__ import annotations

from shared.observability import counter, histogram

IMPORTS = counter("endcap_sync_imports_total", "Imports that ended.", ["kind", "status"])
ROWS = counter(
    "endcap_sync_rows_total", "Rows of imported files by what became of them.", ["kind", "outcome"]
)
REJECTS = counter("endcap_sync_rejects_total", "Refused rows by reason.", ["kind", "reason"])
SECONDS = histogram(
    "endcap_sync_import_seconds",
    "An import from its first row to its last.",
    ["kind"],
    buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600),
)
STATES_REJECTED = counter(
    "endcap_sync_states_refused_total",
    "Rows of items and users that were refused when they were merged: too large, or beyond a quota.",
    ["kind", "reason"],
)
UPLOADS = counter("endcap_sync_uploads_total", "Announced or swept objects.", ["outcome"])
PUTS = counter("endcap_sync_puts_total", "Puts of storefronts that were merged.", ["kind"])
