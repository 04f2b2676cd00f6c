"""The analysis, whose libraries are loaded when the first results are read."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metric_sums import InterleavedSums, MetricSums, PeriodSums, WindowSums
    from services.router.domain.results import OffPolicyResult, Results


def preferences_of(version: StoredVersion, sums: InterleavedSums) -> Results:
    """Return the results of an interleaving experiment's phase; call it in a thread, as `results_of`."""
    from services.router.domain import preferences  # noqa: PLC0415 - 50 MB that only results need

    return preferences.preferences_of(version, sums)


def next_weights(version: StoredVersion, periods: Sequence[PeriodSums]) -> Mapping[str, float]:
    """Return the weights of a bandit's next period; call it in a thread, as `results_of`."""
    from services.router.domain import bandits  # noqa: PLC0415 - 50 MB that only results need

    return bandits.next_weights(version, periods)


def with_periods(version: StoredVersion, results: Results, periods: Sequence[PeriodSums]) -> Results:
    """Return results with what a bandit has learnt; call it in a thread, as `results_of`."""
    from services.router.domain import bandits  # noqa: PLC0415 - 50 MB that only results need

    return bandits.with_periods(version, results, periods)


def switchback_results(
    version: StoredVersion, windows: WindowSums, *, relative_effect: float, now: datetime
) -> Results:
    """Return the results of a switchback's phase; call it in a thread, as `results_of`."""
    from services.router.domain import switchbacks  # noqa: PLC0415 - 50 MB that only results need

    return switchbacks.switchback_results(version, windows, relative_effect=relative_effect, now=now)


def off_policy_result(
    placement: str,
    experiment: str,
    event: str,
    replayed: Sequence[Mapping[str, Any]],
    rewards: Mapping[str, Collection[str]],
) -> OffPolicyResult:
    """Return off-policy estimates from the recommender's replay; call it in a thread, as `results_of`.

    `rewards` are the items with an event by the id of their answer; items that it did not show do not count.
    """
    from services.router.domain import off_policy  # noqa: PLC0415 - 50 MB that only results need

    answers = [
        off_policy.LoggedAnswer(
            each["user_id"] or each["session_id"] or "",
            each["product_ids"],
            dict.fromkeys(
                set(each["product_ids"]).intersection(rewards.get(each["recommendation_id"], ())), 1.0
            ),
            each["target_ids"],
            each["propensities"],
        )
        for each in replayed
    ]
    return off_policy.off_policy_result(placement, experiment, event, answers)


def results_of(
    version: StoredVersion,
    sums: MetricSums,
    *,
    pre_days: int,
    relative_effect: float,
    now: datetime,
    counted_at: datetime | None = None,
    triggered: MetricSums | None = None,
) -> Results:
    """Return the results of a version's phase; the first call of a process loads numpy and scipy.

    It computes for milliseconds and loads for a second: call it in a thread.
    """
    from services.router.domain.analysis import analyse  # noqa: PLC0415 - 50 MB that only results need

    return analyse(
        version,
        sums,
        pre_days=pre_days,
        relative_effect=relative_effect,
        now=now,
        counted_at=counted_at,
        triggered=triggered,
    )
