"""The monitor: pauses experiments whose counting is faulty, or whose variants do harm."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from services.router.domain.late_analysis import results_of
from services.router.metrics import PAUSED
from services.router.store.change_log import MAX_CHANGES, Author
from shared.errors import ApiError

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.domain.results import Results
    from services.router.store.experiments import Experiments
    from services.router.store.metric_sums import MetricStore

MONITOR: Final = Author("monitor")

log = structlog.get_logger()


class Monitor:
    """Checks running experiments with tests that may be read at any time. It never ends or decides one.

    It pauses a version once: whoever starts it again has read the reason in the log.
    """

    def __init__(self, experiments: Experiments, metrics: MetricStore) -> None:
        self._experiments = experiments
        self._metrics = metrics

    async def check(self) -> None:
        """Check each running experiment; one that cannot be read does not stop the others."""
        for version in await self._experiments.running_or_recent():
            if version.status != "running":
                continue
            try:
                await self._check(version)
            except (TimeoutError, ApiError) as error:
                log.warning("monitor.not_checked", name=version.name, error=repr(error))

    async def _check(self, version: StoredVersion) -> None:
        sums = await self._metrics.sums(version, version.measured, pre_days=0)
        if not sums.people:
            return
        results = await asyncio.to_thread(
            results_of, version, sums, pre_days=0, relative_effect=0.1, now=datetime.now(UTC)
        )
        problem = problem_of(results)
        if problem is None:
            return
        changes = await self._experiments.changes(version.tenant, version.name, MAX_CHANGES)
        if any(each.actor == MONITOR.name and each.version == version.version for each in changes):
            return
        kind, reason = problem
        paused = await self._experiments.change(version.tenant, version.name, "pause", MONITOR, reason=reason)
        if paused.status == "paused":
            PAUSED.labels(kind).inc()
            log.warning("experiment.paused", tenant=version.tenant, name=version.name, reason=reason)


def problem_of(results: Results) -> tuple[str, str] | None:
    """Return why an experiment must be paused: the kind and a sentence; None if it may go on."""
    if not results.health.is_valid:
        return "sample_ratio", results.health.problems[0]
    for result in results.metrics:
        for variant in result.variants:
            comparison = variant.comparison
            if (
                comparison is None
                or comparison.guardrail != "harmed"
                or comparison.verdict == "too few units"
            ):
                continue
            metric, high = result.metric, comparison.relative.high
            nearest = high if metric.higher_is_better else comparison.relative.low
            reason = (
                f"{variant.variant} is worse on {metric.name} by more than the margin of "
                f"{metric.margin or 0:.0%}: at any look the change is at least {abs(nearest or 0):.1%}."
            )
            return "guardrail", reason
    return None
