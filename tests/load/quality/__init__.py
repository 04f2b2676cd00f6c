"""Recommendation quality on public data, beside published figures: `make bench-quality`."""
