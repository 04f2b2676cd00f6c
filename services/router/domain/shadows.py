"""Results of shadows: nobody was exposed, so there are no people and no metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.router.domain.results import Health, Planning, Results, ShadowResult

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion


def shadow_results(version: StoredVersion, shadows: list[ShadowResult]) -> Results:
    """Return the results of a shadow."""
    return Results(
        name=version.name,
        phase=version.phase,
        versions=[version.version],
        began_at=version.started_at,
        counted_until=None,
        units=[],
        health=Health(
            is_valid=True,
            problems=[],
            sample_ratio_p=None,
            sample_ratio_sequential_p=None,
            crossed_units=0,
            merged_units=0,
            bots=0,
        ),
        planning=Planning(
            relative_effect=0.0, required_units=None, units=0, days_left=None, detectable_effect=None
        ),
        metrics=[],
        shadows=shadows,
    )
