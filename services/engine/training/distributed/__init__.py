"""Aggregates over users that are computed on Spark."""
