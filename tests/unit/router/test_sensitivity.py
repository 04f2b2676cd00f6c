"""How many visitors find a better variant with a known lift: by a split, by interleaving, by a bandit.

Visitors look at the six items of an answer, click an item of the control with 5 % and of the treatment with
6 %, and buy one in twenty of the clicked items. Some visitors click much more than others (gamma, shape 0.5).
"""

from __future__ import annotations

import numpy as np
import pytest

from services.recommender.serving.team_draft import draft_seed, team_draft
from services.router.statistics import (
    bandit_weights,
    best_probabilities,
    mean_moments,
    preference,
    propensity_weighted_moments,
    required_units,
)

CONTROL, LIFT, ITEMS, BUYS = 0.05, 0.2, 6, 0.05
VISITORS = 400_000


def clicks(rng: np.random.Generator, counts: tuple[int, int], visitors: int) -> np.ndarray:
    """Return the clicks, [visitors, 2], on items of the control and of the treatment in an answer."""
    activity = rng.gamma(0.5, 2.0, (visitors, 1))
    rates = np.minimum(np.array([CONTROL, CONTROL * (1 + LIFT)]) * activity, 1.0)
    return rng.binomial(np.array(counts), rates)


def needed_by_split(values: np.ndarray) -> float:
    """Return the visitors of both variants that a split needs for a metric of the control, float64[U]."""
    moments = mean_moments(values.size, values.sum(), (values**2).sum())
    return float(required_units(moments.mean, moments.variance, LIFT, (0.5, 0.5)))


def needed_by_interleaving(rng: np.random.Generator) -> float:
    """Return the visitors that interleaving needs: those with a preference decide (Conover 3.4)."""
    shown = clicks(rng, (ITEMS // 2, ITEMS // 2), VISITORS)
    estimate = preference(shown[:, 1], shown[:, 0], rng, resamples=2)
    preferring = estimate.wins + estimate.losses
    share = estimate.wins / preferring
    return float((1.96 + 0.84) ** 2 * 0.25 / (share - 0.5) ** 2 * VISITORS / preferring)


def test_interleaving_needs_fewer_visitors_than_a_split() -> None:
    rng = np.random.default_rng(20)
    of_control = clicks(rng, (ITEMS, ITEMS), VISITORS)[:, 0].astype(float)
    bought = rng.binomial(of_control.astype(int), BUYS).astype(float)

    interleaved = needed_by_interleaving(rng)
    by_clicks, by_purchases = needed_by_split(of_control), needed_by_split((bought > 0).astype(float))

    assert interleaved == pytest.approx(2_800, rel=0.15)
    assert by_clicks == pytest.approx(3_800, rel=0.1)
    assert by_purchases == pytest.approx(52_000, rel=0.1)
    # With so many visitors the treatment is found about four times in five.
    count = round(interleaved)
    finds = 0
    for _ in range(200):
        shown = clicks(rng, (ITEMS // 2, ITEMS // 2), count)
        estimate = preference(shown[:, 1], shown[:, 0], rng, resamples=2)
        finds += estimate.p < 0.05 and estimate.wins > estimate.losses
    assert finds == pytest.approx(160, abs=24)


def test_a_bandit_finds_the_variant_and_shows_it_to_more_than_half() -> None:
    rng = np.random.default_rng(21)
    decided, treated, periods, people = 0, 0.0, 12, 2_000
    for _ in range(40):
        n, y, yy, shares = (np.zeros((periods, 2)) for _ in range(4))
        weights = np.array([0.5, 0.5])
        for period in range(periods):
            counts = rng.multinomial(people, weights)
            for variant in (0, 1):
                of_visitors = clicks(rng, (ITEMS, ITEMS), counts[variant])[:, variant]
                n[period, variant], y[period, variant] = counts[variant], of_visitors.sum()
                yy[period, variant], shares[period, variant] = (of_visitors**2).sum(), weights[variant]
            done = slice(0, period + 1)
            moments = propensity_weighted_moments(n[done], y[done], yy[done], shares[done])
            best = best_probabilities(moments, rng, 2_000)
            weights = bandit_weights(best, 0.01, top_two=False)
        decided += best[1] > 0.95
        treated += n[:, 1].sum() / n.sum() / 40

    assert decided >= 32
    assert treated > 0.75


def test_a_draft_gives_two_variants_half_of_the_items_each() -> None:
    """The clicks above rest on it."""
    for number in range(50):
        picks = team_draft([range(20), range(10, 30)], ITEMS, draft_seed("s", str(number), "home", 0))
        assert sum(pick.variant for pick in picks) == ITEMS // 2
