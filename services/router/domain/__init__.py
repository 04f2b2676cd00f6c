"""The rules of experiments: which units take part, which variant they get, and on which surfaces.

See docs/decisions/0033-experiments.
"""
