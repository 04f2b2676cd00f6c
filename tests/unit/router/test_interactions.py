"""Experiments that run at the same time: independent assignments, and effects that depend on each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from services.router.domain.interactions import Cell, interactions_of
from services.router.statistics import equal_effects_p, independence_p
from tests.unit.router.test_analysis import CONVERSION, version


@pytest.mark.parametrize("counts", [[[1_000, 980], [1_010, 1_030]], [[300, 310, 290], [305, 250, 330]]])
def test_independence_equals_scipy(counts: list[list[int]]) -> None:
    assert independence_p(counts) == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)


def test_equal_effects_of_two_variants_are_a_z_test() -> None:
    n, converted = np.array([[1_000, 1_100], [900, 1_050]]), np.array([[50, 52], [60, 95]])
    share = converted / n
    variance = np.sum(share * (1 - share) / n)
    z = (share[1, 1] - share[0, 1] - share[1, 0] + share[0, 0]) / np.sqrt(variance)

    assert equal_effects_p(n, converted) == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_equal_effects_err_in_5_percent_and_an_interaction_is_found() -> None:
    rng = np.random.default_rng(50)
    n = np.full((3, 2), 2_000)
    rates = np.array([[0.05, 0.06], [0.06, 0.07], [0.05, 0.06]])
    interacting = rates + np.array([[0, 0], [0, 0.03], [0, 0]])
    p = [[equal_effects_p(n, rng.binomial(n, each)) for _ in range(500)] for each in (rates, interacting)]

    assert np.mean(np.array(p[0]) < 0.05) == pytest.approx(0.05, abs=0.025)
    assert np.mean(np.array(p[1]) < 0.05) > 0.7


def test_what_disturbs_an_experiment_is_named() -> None:
    mine, names = version(CONVERSION), ("free", "tied", "mixed", "small")
    tables = {
        "free": ((1_000, 50), (1_000, 52), (1_000, 60), (1_000, 63)),
        "tied": ((1_000, 50), (800, 40), (800, 45), (1_000, 60)),
        "mixed": ((5_000, 250), (5_000, 250), (5_000, 250), (5_000, 500)),
        "small": ((99, 5), (1_000, 50), (1_000, 50), (1_000, 50)),
    }
    others: list[Any] = []
    for name in names:
        keys = [(a, b) for a in "ab" for b in "xy"]
        cells = {key: Cell(*cell) for key, cell in zip(keys, tables[name], strict=True)}
        others.append((version(CONVERSION, variants="xy", name=name), cells))
    by_name = {each.experiment: each for each in interactions_of(mine, others).interactions}

    assert by_name["free"].problem is None
    assert "Who meets which variant depends on tied" in (by_name["tied"].problem or "")
    assert "The effect differs between the variants of mixed" in (by_name["mixed"].problem or "")
    assert (by_name["small"].assignment_p, by_name["small"].problem) == (None, None)
    assert by_name["free"].people == {"a": {"x": 1_000, "y": 1_000}, "b": {"x": 1_000, "y": 1_000}}
    assert interactions_of(mine, []).interactions == []
