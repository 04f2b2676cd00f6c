"""Model selection: candidate methods, tried and blended on held-out users of the shop itself.

See docs/decisions/0025-model-selection.
"""
