"""Sums as the monitor has counted and stored them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from services.router.domain.experiments import StoredVersion
from services.router.domain.late_analysis import results_of
from services.router.domain.metric_sums import MetricSums
from services.router.domain.metrics import Metric
from services.router.domain.results import Estimate, Results
from services.router.domain.series import SeriesPoint, SeriesVariant

_METRICS = TypeAdapter(tuple[Metric, ...])


class CountedSums(NamedTuple):
    """The sums of a phase at a time. `seconds` is how long counting took."""

    counted_at: datetime
    seconds: float
    pre_days: int
    metrics: tuple[Metric, ...]
    sums: MetricSums
    triggered: MetricSums | None = None
    """The sums of people whose answers differ, of an experiment with a trigger_share."""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> CountedSums:
        """Return the sums of a stored row."""
        triggered = row["sums"].get("triggered")
        return cls(
            row["counted_at"],
            row["seconds"],
            row["pre_days"],
            _METRICS.validate_python(row["metrics"]),
            MetricSums.of_document(row["sums"]),
            None if triggered is None else MetricSums.of_document(triggered),
        )

    def document(self, results: Results) -> dict[str, Any]:
        """Return the JSON of the sums, with the A/A rates of their results in place of the buckets."""
        rates = [each.aa_false_positive_rate for each in results.metrics]
        document = self.sums.document(rates)
        if self.triggered is not None and results.triggered is not None:
            rates = [each.aa_false_positive_rate for each in results.triggered.metrics]
            document["triggered"] = self.triggered.document(rates)
        return document

    def answers(self, version: StoredVersion, pre_days: int) -> bool:
        """Return whether these are the sums that results of a version need.

        Not after a change of metrics, or if a variant was disabled later; sums with covariates serve without.
        """
        disabled_at = version.disabled_at
        return (
            self.metrics == version.measured
            and pre_days in {0, self.pre_days}
            and (disabled_at is None or disabled_at <= self.counted_at)
        )

    def results(
        self, version: StoredVersion, *, pre_days: int, relative_effect: float, now: datetime | None = None
    ) -> Results:
        """Return the results from these sums; planning is for `now`, by default the time of the count."""
        measured = version.model_copy(update={"metrics": self.metrics})
        return results_of(
            measured,
            self.sums,
            pre_days=pre_days,
            relative_effect=relative_effect,
            now=now or self.counted_at,
            counted_at=self.counted_at,
            triggered=self.triggered,
        )

    def point(self, version: StoredVersion, metric: str) -> SeriesPoint | None:
        """Return what a metric was at the time; None if it was not measured then."""
        results = self.results(version, pre_days=self.pre_days, relative_effect=0.1)
        result = next((each for each in results.metrics if each.metric.name == metric), None)
        if result is None:
            return None
        units = {each.variant: each.units for each in results.units}
        return SeriesPoint(
            day=self.counted_at.date(),
            counted_at=self.counted_at,
            variants=[
                SeriesVariant(
                    variant=each.variant,
                    units=units[each.variant],
                    mean=each.mean.value,
                    relative=_relative(each.comparison),
                )
                for each in result.variants
            ],
        )


def _relative(comparison: Any) -> Estimate | None:
    return None if comparison is None else comparison.relative
