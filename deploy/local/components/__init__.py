"""Kafka, Postgres, Redis and the S3 server: the configuration and the process of each."""
