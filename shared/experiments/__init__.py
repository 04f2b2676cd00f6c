"""Experiments as every process knows them: surfaces, variants, and the assignment of units. Pure: no I/O.

The recommender chooses the variant of a request; the router defines experiments and counts their outcomes.

See docs/decisions/0033-experiments.
"""

from shared.experiments.experiment import Experiment, Slug, Strategy, Surface, Variant
from shared.experiments.surfaces import (
    BACKEND,
    PREFIX,
    RESERVED,
    SurfaceRequest,
    campaign_surface,
    surface_request,
)

__all__ = [
    "BACKEND",
    "PREFIX",
    "RESERVED",
    "Experiment",
    "Slug",
    "Strategy",
    "Surface",
    "SurfaceRequest",
    "Variant",
    "campaign_surface",
    "surface_request",
]
