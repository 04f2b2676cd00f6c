"""The engine: the control plane of Amazon Personalize, and the training behind it.

Owns: accounts, tenants, keys, dataset groups, schemas, datasets, solutions, models, batch jobs, campaigns,
event trackers, filters; the folders `<tenant>/datasets/` and `<tenant>/models/` of the data bucket.
Consumes: UserErased. Its jobs are rows; it reads `tracker.interactions_v1`.
Publishes: CampaignChanged, FilterChanged, TrackerChanged, UserErasureRequested.
When it fails: trained models are still served. Calls are answered as long as Postgres is available; imports,
trainings and batch jobs wait for the object store, and start again when a worker is back.
"""
