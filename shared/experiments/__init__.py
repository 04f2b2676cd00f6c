"""Experiments as every process knows them: surfaces, variants, and the assignment of units. Pure: no I/O.

The recommender chooses the variant of a request; the router defines experiments and counts their outcomes.

See docs/decisions/0033-experiments.
"""

from shared.experiments.designs import INTERLEAVED, Bandit, Design, Interleaving, Shadow, Split, Switchback
from shared.experiments.experiment import (
    PERIOD_MARK,
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
    "PERIOD_MARK",
    "PREFIX",
    "RECOMMENDATIONS",
    "RESERVED",
    "SIMILAR",
    "Bandit",
    "Design",
    "Experiment",
    "Interleaving",
    "Layer",
    "Shadow",
    "Slug",
    "Split",
    "Status",
    "Strategy",
    "Surface",
    "Switchback",
    "UnitRule",
    "Variant",
    "VariantName",
    "campaign_surface",
    "placement_surface",
]
