"""A process is saturated when its event loop is late several times in a row, and no longer when it is not."""

from __future__ import annotations

import pytest

from shared.http import saturation as module
from shared.http.saturation import Saturation

LATE, IN_TIME = 0.030, 0.010


def observed(saturation: Saturation, *measurements: tuple[float, float]) -> list[bool]:
    """Return whether requests are refused after each (wait, time)."""
    states = []
    for wait, now in measurements:
        saturation.observe(wait, now)
        states.append(saturation.refuses)
    return states


def test_one_pause_of_the_machine_refuses_nothing() -> None:
    assert (
        observed(Saturation(0.025), (5.0, 10.0), (IN_TIME, 10.1), (LATE, 10.2), (LATE, 10.3)) == [False] * 4
    )


def test_three_late_measurements_in_a_row_refuse_until_one_is_in_time() -> None:
    measurements = [(LATE, 1.0), (LATE, 1.1), (LATE, 1.2), (LATE, 1.3), (IN_TIME, 1.4)]

    assert observed(Saturation(0.025), *measurements) == [False, False, True, True, False]


def test_soon_after_a_refusal_one_late_measurement_is_enough() -> None:
    saturation = Saturation(0.025)
    observed(saturation, *((LATE, now / 10) for now in range(3)))

    assert observed(saturation, (IN_TIME, 0.3), (LATE, 0.9)) == [False, True]
    assert observed(saturation, (IN_TIME, 1.0), (LATE, 2.5)) == [False, False]


@pytest.mark.parametrize("cpu_share", [1.0, 0.2])
async def test_time_in_which_the_process_did_not_run_is_not_counted(
    monkeypatch: pytest.MonkeyPatch, cpu_share: float
) -> None:
    saturation, clock = Saturation(0.025), [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module, "thread_time", lambda: clock[0] * cpu_share)

    saturation.measure()
    for _ in range(3):
        clock[0] += 0.045
        saturation._measured()

    assert saturation.refuses == (cpu_share == 1)
