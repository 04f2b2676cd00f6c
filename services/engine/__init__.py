"""The engine: Amazon Personalize's control plane, and the learner behind it.

Owns: accounts, tenants, keys, dataset groups, schemas, datasets, solutions, models, batch jobs, campaigns,
event trackers, filters; the folders `<tenant>/datasets/` and `<tenant>/models/` of the data bucket.
Consumes: UserErased. Its jobs are rows; it reads `tracker.interactions_v1`.
Publishes: CampaignChanged, FilterChanged, TrackerChanged, UserErasureRequested.
When it fails: what was trained goes on being served. Calls are answered as long as Postgres is there;
imports, trainings and batches wait for the object store, and begin anew when a worker comes back.
"""
