from __future__ import annotations

from typing import Any

import pytest

from services.trainer.domain.amazon_cost import estimate

NAMES = ("user-personalization", "similar-items", "item-affinity")


def details(*, models: tuple[str, ...] = NAMES) -> Any:
    rows = {
        "interactions": 2_000_000,
        "items": 4_000,
        "users": 180_000,
        "user-ids": 180_000,
        "item-ids": 4_000,
    }
    return {
        "snapshot": {"files": {name: {"rows": count, "bytes": 50 * count} for name, count in rows.items()}},
        "train": {"models": {name: {} for name in models}},
        "batch": {"jobs": {name: {} for name in NAMES}},
    }


def test_a_run_costs_its_import_two_trainings_and_its_lists() -> None:
    cost = estimate(details())

    assert cost is not None
    assert cost.import_usd == pytest.approx(2_184_000 * 50 / 1e9 * 0.05, abs=1e-4)
    # The third recipe is not Amazon's.
    assert cost.training_hours == pytest.approx(2 * (1.93 + 2 * 2.08), abs=0.01)
    assert cost.training_usd == pytest.approx(cost.training_hours * 0.24, abs=0.01)
    assert cost.batch_usd == pytest.approx(184 * 0.067, abs=1e-4)
    assert cost.total_usd == pytest.approx(cost.import_usd + cost.training_usd + cost.batch_usd, abs=1e-3)
    assert cost.campaign_usd_per_month == 144


def test_a_run_of_the_published_sizes_takes_the_published_hours() -> None:
    for rows, hours in ((100_000, 2.135), (25_000_000, 53.9)):
        small = details(models=("user-personalization",))
        small["snapshot"]["files"]["interactions"]["rows"] = rows
        cost = estimate(small)
        assert cost is not None
        assert cost.training_hours == pytest.approx(hours, rel=0.01)


def test_a_run_that_trains_nothing_pays_for_lists_alone() -> None:
    overlay = details(models=())
    overlay["batch"]["jobs"] = {"user-personalization": {}}
    del overlay["snapshot"]["files"]["item-ids"]
    cost = estimate(overlay)

    assert cost is not None
    assert (cost.training_usd, cost.batch_usd) == (0, 12.06)


def test_there_is_no_estimate_before_the_lists_are_computed() -> None:
    assert estimate({"snapshot": {}, "batch": {}}) is None
    assert estimate({name: detail for name, detail in details().items() if name != "batch"}) is None
