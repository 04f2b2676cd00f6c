"""A busy process limits the requests in progress to those that it answers in time."""

from __future__ import annotations

from itertools import pairwise

from shared.http.admission import LEAST, Admission

STEP = 0.02


class Process:
    """A process whose loop is late by a share of the time, and that answers at a rate."""

    def __init__(self, most_wait_seconds: float = 0.1) -> None:
        self.answered = 0.0
        self.now = 100.0
        self.admission = Admission(most_wait_seconds, lambda: int(self.answered))
        self.admission.begin(self.now)

    def runs(self, seconds: float, *, late: float, rate: float) -> list[int | None]:
        """Return the limit after each step."""
        limits = []
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self.answered += STEP * rate
            self.admission.observe(late * STEP, self.now)
            limits.append(self.admission.most)
        return limits


def test_a_busy_process_is_limited_to_what_it_answers_in_time() -> None:
    limits = Process().runs(1.0, late=0.9, rate=2_000)

    assert limits[:14] == [None] * 14, "300 ms"
    assert 195 <= (limits[-1] or 0) <= 205


def test_a_process_that_waits_for_others_has_no_limit() -> None:
    assert Process().runs(2.0, late=0.2, rate=50) == [None] * 100


def test_a_pause_of_the_machine_limits_nothing() -> None:
    process = Process()
    process.runs(0.5, late=0.0, rate=1_000)
    process.now += 2.0
    process.admission.observe(2.0, process.now)

    assert process.admission.most is None
    assert process.runs(0.5, late=0.0, rate=1_000) == [None] * 25


def test_the_limit_follows_the_rate_and_ends_with_the_load() -> None:
    process = Process()
    process.runs(1.0, late=0.9, rate=4_000)
    falling = [limit or 0 for limit in process.runs(1.0, late=0.9, rate=1_000)]

    assert all(later <= earlier for earlier, later in pairwise(falling))
    assert 95 <= falling[-1] <= 105
    assert process.runs(0.3, late=0.1, rate=1_000)[-1] is None


def test_a_slow_process_takes_some_requests_all_the_same() -> None:
    assert Process().runs(1.0, late=0.9, rate=10)[-1] == LEAST
