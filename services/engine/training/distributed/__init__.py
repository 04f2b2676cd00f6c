"""Aggregates over users that are computed on Spark.

See docs/decisions/0026-large-data.
"""
