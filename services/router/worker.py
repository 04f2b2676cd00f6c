"""The monitor, which pauses experiments that are faulty or do harm, and the periods of bandits."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from services.router.domain.late_analysis import next_weights
from services.router.metrics import PAUSED, PERIODS
from services.router.store.change_log import MAX_CHANGES, Author
from shared.errors import ApiError
from shared.experiments import Bandit

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.domain.results import Results
    from services.router.store.bandit_sums import BanditStore
    from services.router.store.experiments import Experiments
    from services.router.store.results import StoredResults

MONITOR: Final = Author("monitor")
BANDIT: Final = Author("bandit")
MONITORED: Final = frozenset({"split", "bandit"})
"""The designs in which each unit has one variant, so that sizes of variants can be tested."""
LARGEST_SHARE: Final = 0.05
"""Share of the time that checks of one experiment take at most, so a large one has fewer. Arbitrary."""

log = structlog.get_logger()


class Monitor:
    """Counts running experiments, and checks them with tests that may be read at any time.

    It never ends or decides one. It pauses a version once: whoever starts it again has read the reason in the
    log. Experiments that ended within the last day are counted too, for events that arrive late.
    """

    def __init__(self, experiments: Experiments, results: StoredResults) -> None:
        self._experiments = experiments
        self._results = results
        self._not_before: dict[tuple[str, str, int], float] = {}

    async def check(self) -> None:
        """Check each experiment; one that cannot be read does not stop the others."""
        phases: dict[tuple[str, str, int], StoredVersion] = {}
        for version in await self._experiments.running_or_recent():
            if version.design.kind not in MONITORED:
                continue
            phase = version.tenant, version.name, version.phase
            if phase not in phases or phases[phase].version < version.version:
                phases[phase] = version
        self._not_before = {phase: at for phase, at in self._not_before.items() if phase in phases}
        for phase, version in phases.items():
            began = time.monotonic()
            if began < self._not_before.get(phase, 0.0):
                continue
            try:
                await self._check(version)
            except (TimeoutError, ApiError) as error:
                log.warning("monitor.not_checked", name=version.name, error=repr(error))
            ended = time.monotonic()
            self._not_before[phase] = ended + (ended - began) * (1 / LARGEST_SHARE - 1)

    async def _check(self, version: StoredVersion) -> None:
        results = await self._results.count(version)
        problem = None if results is None or version.status != "running" else problem_of(results)
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


class Bandits:
    """Begins the next period of each bandit whose period is over.

    Replicas may do it at the same time, and one may be killed: one transaction ends a period and begins the
    next, and only one finds the period over.
    """

    def __init__(self, experiments: Experiments, rewards: BanditStore) -> None:
        self._experiments = experiments
        self._rewards = rewards

    async def check(self) -> None:
        """Change the weights that are due; a bandit that cannot be read does not stop the others."""
        now = datetime.now(UTC)
        for version in await self._experiments.running_or_recent():
            if version.status != "running" or not _is_due(version, now):
                continue
            try:
                periods = await self._rewards.periods(version)
                weights = await asyncio.to_thread(next_weights, version, periods)
                period = await self._experiments.next_period(version, weights, BANDIT)
            except (TimeoutError, ApiError) as error:
                log.warning("bandit.not_changed", name=version.name, error=repr(error))
                continue
            if period is not None:
                PERIODS.inc()
                log.info("bandit.period", name=period.name, version=period.version, weights=dict(weights))


def _is_due(version: StoredVersion, now: datetime) -> bool:
    design, began = version.design, version.started_at
    return (
        isinstance(design, Bandit)
        and began is not None
        and began + timedelta(minutes=design.period_minutes) <= now
    )


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
