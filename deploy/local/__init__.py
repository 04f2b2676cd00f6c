"""The local stack: Kafka, Postgres, Redis, an S3 server and every service, native and private.

`make run` and the tests start the same `Stack`; only its root folder and its ports differ.
"""
