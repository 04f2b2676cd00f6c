"""Kafka, Postgres, Redis, the S3 server and the gateway: the configuration and the process of each."""
