"""From the windows of a switchback to results. Importing it loads numpy and scipy.

A window is one observation, whatever number of people it has: they share its hour. A metric is the ratio of
the window's amount to its people, with the window as cluster of the delta method.

See docs/experiments.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from services.router.domain.analysis import ALPHA, analyse
from services.router.domain.metric_sums import MetricSums, People, Sums
from services.router.domain.metrics import Amount
from services.router.domain.results import Verdict, Window
from shared.experiments import Switchback

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metric_sums import WindowSums
    from services.router.domain.metrics import Metric
    from services.router.domain.results import Comparison, Results

LEAST_WINDOWS: Final = 20
"""Windows of a variant below which no verdict is given, because the intervals are asymptotic. Arbitrary."""
SHOWN_WINDOWS: Final = 100


def switchback_results(
    version: StoredVersion, windows: WindowSums, *, relative_effect: float, now: datetime
) -> Results:
    """Return the results of a switchback's phase, whose units are windows."""
    assert isinstance(version.design, Switchback)
    metrics = version.measured
    # Everything is a ratio here: of the amounts of windows to their people, or to what a metric is per.
    ratios = tuple(
        metric.model_copy(update={"per": metric.per or Amount(event=metric.event)}) for metric in metrics
    )
    results = analyse(
        version.model_copy(update={"metrics": ratios}),
        _sums(version, windows, metrics),
        pre_days=0,
        relative_effect=relative_effect,
        now=now,
    )
    least = min(
        sum(each == variant.name for each, _ in windows.people.values()) for variant in version.variants
    )
    for result, metric in zip(results.metrics, metrics, strict=True):
        result.metric = metric
        for row in result.variants:
            if row.comparison is not None:
                row.comparison.verdict = _verdict(row.comparison, metric, least)
    length = timedelta(minutes=version.design.window_minutes)
    results.windows = [
        Window(
            number=number,
            began_at=datetime.fromtimestamp(0, UTC) + number * length,
            variant=name,
            people=int(n),
        )
        for number, (name, n) in sorted(windows.people.items())[-SHOWN_WINDOWS:]
    ]
    return results


def _sums(version: StoredVersion, windows: WindowSums, metrics: tuple[Metric, ...]) -> MetricSums:
    """Return sums over windows, whose people count as x of a metric without `per`."""
    numbers = {
        variant.name: [number for number, (name, _) in windows.people.items() if name == variant.name]
        for variant in version.variants
    }
    sums: dict[tuple[int, str], Sums] = {}
    for place, metric in enumerate(metrics):
        for name, of_variant in numbers.items():
            pairs = [
                (
                    windows.amounts.get((place, "y", number), 0.0),
                    windows.people[number][1]
                    if metric.per is None
                    else windows.amounts.get((place, "x", number), 0.0),
                )
                for number in of_variant
            ]
            sums[place, name] = (
                sum(y for y, _ in pairs),
                sum(y * y for y, _ in pairs),
                sum(x for _, x in pairs),
                sum(x * x for _, x in pairs),
                sum(x * y for y, x in pairs),
            )
    people = {name: People(len(of_variant)) for name, of_variant in numbers.items()}
    return MetricSums(windows.versions, windows.began_at, people, sums)


def _verdict(comparison: Comparison, metric: Metric, windows: int) -> Verdict:
    value, p = comparison.absolute.value, comparison.adjusted_p
    if windows < LEAST_WINDOWS or value is None or p is None:
        return "too few units"
    if p >= ALPHA:
        return "no difference shown"
    return "better" if (value > 0) == metric.higher_is_better else "worse"
