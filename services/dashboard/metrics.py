"""The metrics of the dashboard."""

from __future__ import annotations

from shared.observability import counter, histogram

SIGN_INS = counter("endcap_dashboard_sign_ins_total", "Attempts to sign in, by outcome.", ["outcome"])
CHANGES = counter("endcap_dashboard_changes_total", "Changes by people, by outcome.", ["action", "outcome"])
CALLS = counter(
    "endcap_dashboard_calls_total",
    "Calls of other services, by outcome: ok, refused, absent.",
    ["service", "outcome"],
)
CALL_SECONDS = histogram(
    "endcap_dashboard_call_seconds", "Duration of a call of another service.", ["service"]
)
