"""What the tracker measures."""

from __future__ import annotations

from shared.observability import counter, gauge

ACCEPTED = counter("endcap_tracker_events_accepted_total", "Events that Kafka has confirmed.", ["source"])
REJECTED = counter(
    "endcap_tracker_events_rejected_total", "Events that were not valid, each with its reason.", ["source"]
)
IGNORED = counter(
    "endcap_tracker_events_ignored_total",
    "Calls that say nothing which is kept, each with its reason.",
    ["source"],
)
UNCONFIRMED = counter(
    "endcap_tracker_events_unconfirmed_total", "Events whose sender was told to send them again.", ["source"]
)
WAITING = gauge("endcap_tracker_waiting_bytes", "Requests that wait for Kafka, together.")
STORED = counter("endcap_tracker_events_stored_total", "Events written to the log.")
REPEATED = counter("endcap_tracker_events_repeated_total", "Events that the log had already.")
CONFLICTING = counter(
    "endcap_tracker_events_conflicting_total", "Events that came again under the same id with other content."
)
CLAIMS = counter(
    "endcap_tracker_claims_total",
    "Events that claimed a line of the shop's orders: confirmed by it, replaced by it, refused behind it.",
    ["outcome"],
)
