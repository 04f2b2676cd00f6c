"""Rates, bits and periods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from services.analytics.domain.figures import bit_counts, packed, unpacked, wilson
from services.analytics.domain.reports import Period, grouping_of

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(("successes", "observations"), [(10, 100), (0, 7), (7, 7), (1, 3), (123, 100_000)])
def test_the_interval_is_that_of_scipy(successes: int, observations: int) -> None:
    interval = binomtest(successes, observations).proportion_ci(0.95, method="wilson")

    rate = wilson(successes, observations)

    assert rate.value == successes / observations
    assert rate.low == pytest.approx(interval.low, abs=1e-12)
    assert rate.high == pytest.approx(interval.high, abs=1e-12)


@given(observations=st.integers(1, 10**9), data=st.data())
def test_an_interval_contains_its_rate(observations: int, data: st.DataObject) -> None:
    rate = wilson(data.draw(st.integers(0, observations)), observations)

    assert 0 <= rate.low <= rate.value <= rate.high <= 1


def test_nothing_observed_is_no_rate() -> None:
    assert wilson(0, 0) == (None, None, None)


@given(bits=st.integers(0, 2**500))
def test_bits_come_back(bits: int) -> None:
    assert unpacked(packed(bits)) == bits


def test_bits_are_counted_by_the_series_of_their_items() -> None:
    assert bit_counts(0b1011, [7, 7, 8, 9]) == (3, {7: 2, 9: 1})


def test_a_period_has_whole_intervals() -> None:
    period = Period.of(NOW - timedelta(hours=2), NOW, "hour", NOW)

    assert (period.begin.hour, period.end.hour) == (10, 13)
    assert [time.hour for time in period.times] == [10, 11, 12]
    assert Period.of(None, None, "day", NOW).begin == datetime(2026, 10, 31, tzinfo=UTC)
    assert Period.of(None, datetime(2026, 11, 29, tzinfo=UTC), "hour", NOW).end.hour == 0


@pytest.mark.parametrize(
    ("begin", "end", "message"),
    [(NOW, NOW - timedelta(hours=1), "before"), (NOW - timedelta(days=32), NOW, "interval=day")],
)
def test_a_period_that_is_empty_or_long_is_refused(begin: datetime, end: datetime, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Period.of(begin, end, "hour", NOW)


def test_groups_are_those_that_exist() -> None:
    assert grouping_of("strategy, placement,") == {"strategy", "placement"}
    with pytest.raises(ValueError, match="'source'"):
        grouping_of("source")
