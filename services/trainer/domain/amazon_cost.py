"""Estimate of what a run would cost on Amazon Personalize, by its list prices and the sizes of the run.

The formula is in docs/runs.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.trainer.domain.runs import RECIPES

IMPORT_USD_PER_GB: Final = 0.05
TRAINING_USD_PER_HOUR: Final = 0.24
"""Of an hour of 4 vCPU and 8 GiB, of which Amazon bills several for an hour of time."""

BATCH_USD_PER_1000: Final = 0.067
"""For the lists of a thousand users or items."""

CAMPAIGN_USD_PER_HOUR: Final = 0.20
"""Of a campaign with the least throughput, one request a second, from its creation to its deletion."""

HOURS_PER_MONTH: Final = 720
BASE_TRAINING_HOURS: Final = 1.93
TRAINING_HOURS_PER_MILLION: Final = 2.08
"""Billed hours of a training: a line through two that were published, 2.135 hours for 100,000 interactions
and 53.9 for 25 million."""


@dataclass(frozen=True, slots=True)
class AmazonCost:
    """Dollars by part of a run, the billed hours of training, and dollars a month for a campaign."""

    import_usd: float
    training_usd: float
    batch_usd: float
    total_usd: float
    training_hours: float
    campaign_usd_per_month: float


def estimate(steps: Mapping[str, Mapping[str, Any]]) -> AmazonCost | None:
    """Return the estimate for a run whose steps have these details; None before its batch has ended."""
    files = steps.get("snapshot", {}).get("files")
    jobs = steps.get("batch", {}).get("jobs")
    if not files or not jobs:
        return None
    names = [recipe.name for recipe in RECIPES if recipe.on_amazon]
    imported = sum(files[name]["bytes"] for name in ("interactions", "items", "users") if name in files)
    models = [name for name in names if name in steps.get("train", {}).get("models", {})]
    hours_each = BASE_TRAINING_HOURS + TRAINING_HOURS_PER_MILLION * files["interactions"]["rows"] / 1e6
    ids = {recipe.name: "user-ids" if recipe.inputs == "users" else "item-ids" for recipe in RECIPES}
    lists = sum(files[ids[name]]["rows"] for name in names if name in jobs)
    import_usd = imported / 1e9 * IMPORT_USD_PER_GB
    training_hours = len(models) * hours_each
    training_usd = training_hours * TRAINING_USD_PER_HOUR
    batch_usd = lists / 1000 * BATCH_USD_PER_1000
    return AmazonCost(
        import_usd=round(import_usd, 4),
        training_usd=round(training_usd, 4),
        batch_usd=round(batch_usd, 4),
        total_usd=round(import_usd + training_usd + batch_usd, 4),
        training_hours=round(training_hours, 2),
        campaign_usd_per_month=round(CAMPAIGN_USD_PER_HOUR * HOURS_PER_MONTH, 2),
    )
