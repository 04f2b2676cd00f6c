"""The statistics of experiments: pure functions on arrays of sufficient statistics, without I/O.

Every function broadcasts: an argument of shape [simulations, looks, variants] costs one call. A result is NaN
where a sample is too small or constant, never an exception or a warning. See docs/experiments.md.
"""

from services.router.statistics.aa_check import false_positive_rate
from services.router.statistics.bandits import (
    bandit_weights,
    best_probabilities,
    propensity_weighted_moments,
)
from services.router.statistics.comparisons import (
    TUNED_UNITS,
    Difference,
    Interval,
    absolute_difference,
    always_valid_p,
    chance_to_win,
    confidence_sequence,
    relative_difference,
    relative_sequence,
    welch_interval,
    welch_p,
)
from services.router.statistics.guardrails import GuardrailState, guardrail_state
from services.router.statistics.interactions import equal_effects_p, independence_p
from services.router.statistics.moments import (
    Floats,
    SampleMoments,
    SampleSums,
    cuped,
    mean_moments,
    proportion_moments,
    ratio_moments,
    winsorized,
)
from services.router.statistics.multiple_testing import benjamini_hochberg
from services.router.statistics.off_policy import (
    OffPolicyEstimate,
    cross_fitted_means,
    doubly_robust,
    importance_weights,
    ips,
    snips,
)
from services.router.statistics.power import days_left, minimum_detectable_effect, required_units
from services.router.statistics.preferences import Preference, preference, sign_test_p
from services.router.statistics.sample_ratio import (
    chi_squared_p,
    periods_chi_squared_p,
    periods_multinomial_p,
    sequential_multinomial_p,
)

__all__ = [
    "TUNED_UNITS",
    "Difference",
    "Floats",
    "GuardrailState",
    "Interval",
    "OffPolicyEstimate",
    "Preference",
    "SampleMoments",
    "SampleSums",
    "absolute_difference",
    "always_valid_p",
    "bandit_weights",
    "benjamini_hochberg",
    "best_probabilities",
    "chance_to_win",
    "chi_squared_p",
    "confidence_sequence",
    "cross_fitted_means",
    "cuped",
    "days_left",
    "doubly_robust",
    "equal_effects_p",
    "false_positive_rate",
    "guardrail_state",
    "importance_weights",
    "independence_p",
    "ips",
    "mean_moments",
    "minimum_detectable_effect",
    "periods_chi_squared_p",
    "periods_multinomial_p",
    "preference",
    "propensity_weighted_moments",
    "proportion_moments",
    "ratio_moments",
    "relative_difference",
    "relative_sequence",
    "required_units",
    "sequential_multinomial_p",
    "sign_test_p",
    "snips",
    "welch_interval",
    "welch_p",
    "winsorized",
]
