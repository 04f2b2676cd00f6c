"""Off-policy estimates of a definition from logged answers: near the truth, and refused without support."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from services.router.commands.off_policy import report
from services.router.domain.late_analysis import off_policy_result
from services.router.domain.results import OffPolicyResult

RATES = {f"i{number}": rate for number, rate in enumerate((0.30, 0.05, 0.20, 0.02, 0.10, 0.25))}
LISTS = {"a": ["i0", "i1", "i2"], "b": ["i2", "i3", "i4"]}
"""The items of two variants; with 70 and 30 % of the visitors."""


def estimated(target: list[str], seed: int, visitors: int = 2_000, p: float = 0.7) -> OffPolicyResult:
    """Return the estimates of a definition that shows `target` to everybody."""
    rng = np.random.default_rng(seed)
    replayed: list[dict[str, Any]] = []
    rewards: dict[str, set[str]] = {}
    propensities = {
        item: sum(share for name, share in (("a", p), ("b", 1 - p)) if item in LISTS[name] and share)
        for item in {*LISTS["a"], *(LISTS["b"] if p < 1 else ())}
    }
    for number in range(visitors):
        shown = LISTS["a" if rng.random() < p else "b"]
        rewards[f"r{number}"] = {item for item in shown if rng.random() < RATES[item]}
        replayed.append(
            {
                "recommendation_id": f"r{number}",
                "user_id": f"u{number}",
                "session_id": None,
                "product_ids": shown,
                "target_ids": target,
                "propensities": propensities,
            }
        )
    return off_policy_result("home", "e", "click", replayed, rewards)


@pytest.mark.parametrize("target", [["i0", "i2", "i4"], ["i4", "i3"], ["i0", "i1", "i2"]])
def test_estimates_are_near_the_truth_and_their_intervals_hold_it(target: list[str]) -> None:
    truth = sum(RATES[item] for item in target)
    results = [estimated(target, seed, visitors=1_000) for seed in range(40)]

    for name in ("ips", "snips", "dr"):
        estimates = [getattr(result, name) for result in results]
        mean = np.mean([each.value for each in estimates])
        assert mean == pytest.approx(truth, abs=0.02)
        assert sum(each.low <= truth <= each.high for each in estimates) >= 33
    assert all(result.support == 1 for result in results)
    errors = {
        name: np.std([getattr(result, name).value for result in results]) for name in ("ips", "snips", "dr")
    }
    assert errors["dr"] <= errors["ips"]


def test_items_that_no_variant_shows_are_named_and_estimated_differently() -> None:
    result = estimated(["i0", "i2", "i5"], 1)

    assert result.support == pytest.approx(2 / 3)
    assert result.ips.value == pytest.approx(0.5, abs=0.05)
    assert result.dr.value is not None
    assert result.ips.value is not None
    assert result.dr.value > result.ips.value
    assert "67% of the items" in report(result.model_dump())


@pytest.mark.parametrize(
    ("target", "options", "sentence"),
    [
        (["i0"], {"p": 1.0}, "was drawn at random"),
        (["i0"], {"visitors": 0}, "was drawn at random"),
        (["i5", "x"], {}, "too little: 0% of the definition's items"),
        (["i4"], {"visitors": 50}, "effective answers remain"),
    ],
)
def test_nothing_is_estimated_without_randomness_or_support(
    target: list[str], options: dict[str, Any], sentence: str
) -> None:
    result = estimated(target, 1, **options)

    assert result.refusal is not None
    assert sentence in result.refusal
    assert result.ips.value is None
