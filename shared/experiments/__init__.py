"""Experiments as every process knows them: surfaces, variants, and the assignment of units. Pure: no I/O.

The recommender chooses the variant of a request; the router defines experiments and counts their outcomes.

See docs/decisions/0033-experiments.
"""

from shared.experiments.designs import INTERLEAVED, Design, Interleaving, Split
from shared.experiments.experiment import (
    Experiment,
    Layer,
    Slug,
    Status,
    Strategy,
    Surface,
    UnitRule,
    Variant,
    VariantName,
)
from shared.experiments.surfaces import (
    AFFINITY,
    BACKEND,
    HOLDOUT,
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
    "HOLDOUT",
    "INTERLEAVED",
    "PREFIX",
    "RECOMMENDATIONS",
    "RESERVED",
    "SIMILAR",
    "Design",
    "Experiment",
    "Interleaving",
    "Layer",
    "Slug",
    "Split",
    "Status",
    "Strategy",
    "Surface",
    "UnitRule",
    "Variant",
    "VariantName",
    "campaign_surface",
    "placement_surface",
]
