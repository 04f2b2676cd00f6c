"""The metrics of the tracker."""

from __future__ import annotations

from shared.observability import counter, gauge

ACCEPTED = counter("endcap_tracker_events_accepted_total", "Events that Kafka has confirmed.", ["source"])
REJECTED = counter("endcap_tracker_events_rejected_total", "Invalid events, by source.", ["source"])
IGNORED = counter(
    "endcap_tracker_events_ignored_total",
    "Valid calls that are not stored, by source.",
    ["source"],
)
WITHHELD = counter(
    "endcap_tracker_events_withheld_total",
    "Events in the log that are kept out of personalization, by reason: consent, bot or internal.",
    ["reason"],
)
UNCONFIRMED = counter(
    "endcap_tracker_events_unconfirmed_total",
    "Events that Kafka did not confirm in time; their senders got a 503.",
    ["source"],
)
WAITING = gauge("endcap_tracker_waiting_bytes", "Total size of the requests that wait for Kafka.")
STORED = counter("endcap_tracker_events_stored_total", "Events written to the log.")
REPEATED = counter("endcap_tracker_events_repeated_total", "Events that were already in the log.")
CONFLICTING = counter(
    "endcap_tracker_events_conflicting_total", "Events whose content differs from that stored under their id."
)
CLAIMS = counter(
    "endcap_tracker_claims_total",
    "Events that claimed an order line: confirmed or replaced by the shop's order, or refused after it.",
    ["outcome"],
)
RETURNED = counter(
    "endcap_tracker_lines_returned_total", "Order lines that were cancelled, refunded or returned entirely."
)
