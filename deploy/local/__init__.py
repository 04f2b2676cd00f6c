"""The local stack: Kafka, Postgres, Redis, an S3 server and all services as native processes.

`make run` and the tests start the same `Stack` with different root folders and ports.
"""
