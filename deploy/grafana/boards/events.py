"""The dashboard of those who send and consume events: intake, lag, dead letters, outboxes."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard
from deploy.grafana.queries import chart, quantile, rate

EVENTS = Dashboard(
    "endcap-events",
    "Endcap: events and consumers",
    "What comes in, and whether every consumer keeps up.",
    [
        chart(
            "Accepted events",
            (rate("endcap_tracker_events_accepted_total", "source"), "{{source}}"),
            unit="ops",
        ),
        chart(
            "Refused events",
            (rate("endcap_tracker_events_rejected_total", "source"), "{{source}}"),
            unit="ops",
        ),
        chart(
            "Stored, repeated and conflicting events",
            (rate("endcap_tracker_events_stored_total"), "stored"),
            (rate("endcap_tracker_events_repeated_total"), "repeated"),
            (rate("endcap_tracker_events_conflicting_total"), "conflicting"),
            unit="ops",
        ),
        chart(
            "Events kept out of personalization",
            (rate("endcap_tracker_events_withheld_total", "reason"), "{{reason}}"),
            unit="ops",
        ),
        chart("Lag", ("max by (group, topic) (endcap_kafka_consumer_lag)", "{{group}} {{topic}}")),
        chart(
            "Waiting for a dependency",
            ("max by (group, topic) (endcap_kafka_consumer_waiting_seconds)", "{{group}} {{topic}}"),
            unit="s",
        ),
        chart(
            "Consumed",
            (rate("endcap_kafka_consumed_total", "group, topic"), "{{group}} {{topic}}"),
            unit="ops",
        ),
        chart(
            "Time of a handler, 99 %",
            (quantile(0.99, "endcap_kafka_handler_seconds", "group, topic"), "{{group}} {{topic}}"),
            unit="s",
        ),
        chart(
            "Dead letters in an hour",
            (
                "sum by (group, topic, reason) (increase(endcap_kafka_dead_letters_total[1h]))",
                "{{group}} {{topic}} {{reason}}",
            ),
        ),
        chart("Retries", (rate("endcap_kafka_retries_total", "group, topic"), "{{group}} {{topic}}")),
        chart("Published", (rate("endcap_kafka_published_total", "topic"), "{{topic}}"), unit="ops"),
        chart(
            "Time to publish, 99 %",
            (quantile(0.99, "endcap_kafka_publish_seconds", "topic"), "{{topic}}"),
            unit="s",
        ),
        chart("Waiting in outboxes", ("max by (schema) (endcap_outbox_pending)", "{{schema}}")),
        chart(
            "Oldest row of an outbox",
            ("max by (schema) (endcap_outbox_oldest_age_seconds)", "{{schema}}"),
            unit="s",
        ),
        chart(
            "Imports", (rate("endcap_sync_rows_total", "kind, outcome"), "{{kind}} {{outcome}}"), unit="ops"
        ),
        chart(
            "Deliveries of sources",
            (rate("endcap_sync_deliveries_total", "status"), "{{status}}"),
            ("max(endcap_sync_inbox_waiting)", "waiting"),
        ),
    ],
)
