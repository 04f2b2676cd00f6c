"""Definitions and results of experiments. See docs/decisions/0033-experiments."""
