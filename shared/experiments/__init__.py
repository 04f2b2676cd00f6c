"""Experiments as every process knows them: surfaces, variants, and the assignment of units. Pure: no I/O.

The recommender chooses the variant of a request; the router defines experiments and counts their outcomes.

See docs/decisions/0033-experiments.
"""

from shared.experiments.experiment import Experiment, Slug, Strategy, Surface, Variant
from shared.experiments.surfaces import (
    AFFINITY,
    BACKEND,
    PREFIX,
    RECOMMENDATIONS,
    RESERVED,
    SIMILAR,
    campaign_surface,
    placement_surface,
)

__all__ = [
    "AFFINITY",
    "BACKEND",
    "PREFIX",
    "RECOMMENDATIONS",
    "RESERVED",
    "SIMILAR",
    "Experiment",
    "Slug",
    "Strategy",
    "Surface",
    "Variant",
    "campaign_surface",
    "placement_surface",
]
