"""The metrics of the engine."""

from __future__ import annotations

from shared.observability import counter, gauge, histogram

CALLS = counter("endcap_engine_calls_total", "Calls of the control plane.", ["operation", "outcome"])
IMPORTED_ROWS = counter("endcap_engine_imported_rows_total", "Rows imported into datasets.", ["type"])
NULL_CELLS = counter(
    "endcap_engine_null_cells_total",
    "Cells of imported items and users that became null, because they did not fit their column.",
    ["type"],
)
EXPORTED_ROWS = counter("endcap_engine_exported_rows_total", "Rows exported from datasets.", ["type"])
DELETED_USERS = counter("endcap_engine_deleted_users_total", "Users in data deletion jobs.")
TRAINING_SECONDS = histogram(
    "endcap_engine_training_seconds",
    "Duration of trainings, from reading the data to the stored model.",
    ["recipe"],
    buckets=[1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280],
)
INFERRED_LINES = counter(
    "endcap_engine_inferred_lines_total", "Lines of batch inference jobs that were answered."
)
SEGMENT_LINES = counter(
    "endcap_engine_segment_lines_total", "Lines of batch segment jobs that were answered."
)
ATTRIBUTED = counter(
    "endcap_engine_attributed_total",
    "Sums of metric attributions over closed intervals of 15 minutes.",
    ["tenant", "metric", "event_type", "source"],
)
REPLAYS = counter("endcap_engine_replays_total", "Dead letters that were published again.", ["topic"])
FAILED_JOBS = counter("endcap_engine_failed_jobs_total", "Jobs that ended with CREATE FAILED.", ["kind"])
KEY_EXPIRES = gauge(
    "endcap_engine_key_expiry_timestamp_seconds",
    "When a key expires that was made for longer than two weeks and has no successor, in seconds since 1970.",
    ["tenant", "key"],
)
MODEL_TRAINED = gauge(
    "endcap_engine_model_trained_timestamp_seconds",
    "When the training began of the model that a campaign or recommender serves, in seconds since 1970.",
    ["tenant", "campaign"],
)
