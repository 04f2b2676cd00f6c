"""Scoring methods, one algorithm per module."""
