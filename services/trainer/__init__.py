"""Trainer: what the shop knows → a snapshot → models and lists, through the Personalize API.

Owns        runs with their steps, the schedule
Consumes    training-requests-v1 (TrainingRequested), erasures-v1
Publishes   batches-v1 (BatchCompleted, BatchFailed), erasure-receipts-v1 (UserErased)
HTTP        runs: ask for one, watch it

When it fails   a run is a job: another worker goes on with the step at hand, and what is in the object
                store or at the Personalize API already is used again. A run that can't succeed ends with
                a sentence and BatchFailed; what is served stays as it was.
"""
