"""Facts of answers and events, and the figures that follow from them. See docs/decisions/0039-metrics.md."""
