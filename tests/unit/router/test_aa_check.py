"""The permanent A/A test: halves of the control differ in 5 % of splits, unless people are no units."""

from __future__ import annotations

import numpy as np
import pytest

from services.router.domain.health import LARGEST_AA_RATE, aa_rates
from services.router.domain.metric_sums import Bucket, MetricSums
from services.router.domain.metrics import Amount, Metric
from services.router.statistics import Floats, false_positive_rate

PEOPLE, BUCKETS = 5_000, 256


def buckets(values: Floats, hashes: Floats | None = None, seed: int = 0) -> Floats:
    """Return the sums of people, float64[PEOPLE], by the bucket of their hash, as float64[BUCKETS, 6]."""
    where = np.random.default_rng(seed).integers(0, BUCKETS, len(values)) if hashes is None else hashes
    zero = np.zeros(BUCKETS)
    n, y, yy = (np.bincount(where, weights, BUCKETS) for weights in (None, values, values**2))
    return np.stack([n, y, yy, zero, zero, zero], axis=1).astype(np.float64)


def test_independent_people_stay_below_the_limit() -> None:
    rng = np.random.default_rng(40)
    rates = [
        false_positive_rate(buckets((rng.random(PEOPLE) < 0.05).astype(np.float64), seed=run), is_ratio=False)
        for run in range(100)
    ]

    assert np.mean(rates) == pytest.approx(0.05, abs=0.005)
    assert max(rates) < LARGEST_AA_RATE


def test_amounts_that_come_in_groups_are_found() -> None:
    """Twenty people each share a fate, so that the standard error of independent people is far too small."""
    rng = np.random.default_rng(41)
    fates = (rng.random(BUCKETS) < 0.2).astype(np.float64)
    where = rng.integers(0, BUCKETS, PEOPLE)

    assert false_positive_rate(buckets(fates[where], where), is_ratio=False) > LARGEST_AA_RATE


def test_a_ratio_is_compared_by_the_delta_method() -> None:
    rng = np.random.default_rng(42)
    where, orders = rng.integers(0, BUCKETS, PEOPLE), rng.poisson(2, PEOPLE).astype(np.float64)
    items = orders * 2 + rng.normal(size=PEOPLE) * orders
    parts = (np.ones(PEOPLE), items, items**2, orders, orders**2, items * orders)
    sums = np.stack([np.bincount(where, part, BUCKETS) for part in parts], axis=1)

    assert false_positive_rate(sums, is_ratio=True) == pytest.approx(0.05, abs=0.04)
    assert np.isnan(false_positive_rate(np.zeros((BUCKETS, 6)), is_ratio=True))


def test_a_small_control_has_no_rate() -> None:
    bought = Metric(name="bought", event="purchase")
    items = Metric(name="items", event="purchase", measure="events", per=Amount(event="purchase"))

    def rates(people: int) -> list[float | None]:
        parts = [Bucket(people, {0: (1.0, 1.0, 0.0, 0.0, 0.0)}) for _ in range(BUCKETS)]
        return aa_rates([bought, items], MetricSums([1], None, {}, {}, buckets=parts))

    assert rates(3) == [None, None]
    # Each bucket is like the others, so halves never differ; nothing at all has no rate.
    assert rates(4) == [0.0, None]
