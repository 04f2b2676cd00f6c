"""Calls of a tenant in a second."""

from __future__ import annotations

from services.tracker.domain.allowance import Allowance


def test_a_second_holds_so_many_calls_and_the_next_one_more() -> None:
    allowance = Allowance(3)

    assert [allowance.takes("a", 10.0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.takes("a", 10.34), allowance.takes("a", 10.34)] == [True, False]
    assert allowance.takes("b", 10.0)


def test_what_was_not_used_is_not_saved_up() -> None:
    allowance = Allowance(2)
    allowance.takes("a", 0.0)

    assert [allowance.takes("a", 1000.0) for _ in range(3)] == [True, True, False]


def test_less_than_one_a_second_is_possible() -> None:
    allowance = Allowance(0.5)

    assert [allowance.takes("a", at) for at in (0.0, 1.0, 2.0)] == [True, False, True]
