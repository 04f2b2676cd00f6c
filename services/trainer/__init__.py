"""Trainer: train models and lists from snapshots of the data, through the Personalize API.

Owns        runs with their steps, schedules
Consumes    training-requests-v1 (TrainingRequested), erasures-v1
Publishes   batches-v1 (BatchCompleted, BatchFailed), erasure-receipts-v1 (UserErased)
HTTP        runs: request one, and follow it; schedules

When it fails   a run is a job: another worker continues with the interrupted step, and uses what is in
                the object store or at the Personalize API already. A run that can't succeed ends with an
                error and BatchFailed; the active generation stays active.

See docs/decisions/0021-training-runs.
"""
