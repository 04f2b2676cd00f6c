"""Layers, holdouts, unit rules, forced units, disabled variants and dry runs of splits."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from services.router.domain.experiments import Definition, StoredVersion, next_version
from services.router.domain.lifecycle import state_after
from services.router.domain.sample_ratio import sample_ratio_p
from services.router.domain.split import split
from shared.errors import ApiError
from shared.experiments import Experiment, Layer, Variant

UNITS = [f"user-{n}" for n in range(20_000)]
NOW = datetime(2026, 11, 20, tzinfo=UTC)
AB = (Variant(name="a"), Variant(name="b"))


def experiment(**fields: object) -> Experiment:
    defaults: dict[str, object] = {"tenant": "shop", "name": "e", "version": 1, "surface": "recommendations"}
    state: dict[str, object] = {"status": "running", "created_at": NOW, "started_at": NOW}
    return Experiment.model_validate(
        defaults | state | {"variants": AB, "traffic": 1.0, "salt": "salt"} | fields
    )


def in_thirds(**fields: object) -> list[Experiment]:
    edges = pairwise((0, 1 / 3, 2 / 3, 1))
    return [
        experiment(salt=f"salt-{start}", layer=Layer(name="home", start=start, end=end), **fields)
        for start, end in edges
    ]


def test_the_segments_of_a_layer_have_each_unit_once() -> None:
    counts = Counter(
        tuple(each.assign(unit) is not None for each in in_thirds()).count(True) for unit in UNITS
    )

    assert counts == {1: len(UNITS)}


def test_the_segment_of_a_unit_says_nothing_about_its_variant() -> None:
    first, *_ = in_thirds()
    variants = Counter(variant.name for unit in UNITS if (variant := first.assign(unit)))

    p = sample_ratio_p([variants["a"], variants["b"]], [1, 1])
    assert p is not None
    assert p > 0.001
    share = sum(variants.values()) / len(UNITS)
    assert share == pytest.approx(1 / 3, abs=0.01)


def test_segments_overlap_unless_they_are_beside_each_other_in_one_layer() -> None:
    half = Layer(name="home", start=0, end=0.5)

    assert not half.overlaps(Layer(name="home", start=0.5, end=1))
    assert half.overlaps(Layer(name="home", start=0.4, end=0.6))
    assert half.overlaps(Layer(name="cart", start=0.5, end=1))


@pytest.mark.parametrize(
    ("rule", "units"),
    [
        ("user_else_session", ["u", "u", "s", None]),
        ("session_else_user", ["s", "u", "s", None]),
        ("user", ["u", "u", None, None]),
        ("session", ["s", None, "s", None]),
    ],
)
def test_the_rule_chooses_the_unit_of_a_request(rule: str, units: list[str | None]) -> None:
    requests = [("u", "s"), ("u", None), (None, "s"), (None, None)]

    assert [experiment(unit=rule).unit_of(*request) for request in requests] == units


def test_a_forced_unit_gets_its_variant_outside_of_the_traffic_too() -> None:
    running = experiment(traffic=1e-6, forced={"tester": "b", "stray": "gone"})

    assert running.assign("tester") == AB[1]
    assert running.assign("stray") is None
    assert Experiment.of(running.changed()).assign("tester") == AB[1]


def test_units_of_a_disabled_variant_have_none_and_the_others_keep_theirs() -> None:
    before, after = experiment(), experiment(disabled=("b",), revision=2)

    for unit in UNITS[:1_000]:
        variant = before.assign(unit)
        assert after.assign(unit) == (variant if variant == AB[0] else None)
    assert after.order > before.order
    assert Experiment.of(after.changed()).disabled == ("b",)


def test_a_later_state_is_ordered_by_version_then_end_then_revision() -> None:
    states = [
        experiment(revision=9),
        experiment(stopped_at=NOW, status="stopped", revision=2),
        experiment(stopped_at=NOW, status="decided", revision=3),
        experiment(version=2),
        experiment(version=2, status="paused", revision=2),
    ]

    assert sorted(states, key=lambda each: each.order) == states


def test_a_dry_run_counts_what_the_traffic_the_holdout_and_a_disabled_variant_leave() -> None:
    variants = [{"name": "a", "weight": 33}, {"name": "b", "weight": 33}, {"name": "c", "weight": 34}]
    holdout = experiment(surface="holdout", traffic=0.1, salt="out")
    result = split(experiment(variants=variants, traffic=0.8, disabled=("c",)), [holdout], UNITS)

    assert sum(result.variants.values()) + result.held_out + result.outside == len(UNITS)
    assert result.variants["c"] == 0
    assert result.variants["a"] / len(UNITS) == pytest.approx(0.8 * 0.33 * 0.95, abs=0.01)
    assert result.held_out / len(UNITS) == pytest.approx(0.8 * 0.66 * 0.05, abs=0.005)


def definition(**fields: object) -> Definition:
    return Definition.model_validate({"name": "e", "surface": "recommendations", "variants": AB} | fields)


@pytest.mark.parametrize(
    ("changes", "state", "phase"),
    [
        ({"traffic": 0.5}, {}, 1),
        ({"metrics": [{"name": "m", "event": "view"}]}, {}, 1),
        ({"traffic": 0.1}, {}, 2),
        ({"traffic": 0.5}, {"stopped_at": NOW, "status": "stopped"}, 2),
        ({"variants": [{"name": "a", "weight": 2}, {"name": "b"}]}, {}, 2),
        ({"variants": [{"name": "a"}, {"name": "b", "strategy": "item-affinity"}]}, {}, 2),
        ({"layer": {"name": "l"}}, {}, 2),
        ({"unit": "session"}, {}, 2),
        ({"salt": "new"}, {}, 2),
    ],
)
def test_a_new_phase_begins_unless_only_metrics_change_or_traffic_grows(
    changes: dict[str, object], state: dict[str, object], phase: int
) -> None:
    first = next_version(definition(traffic=0.2), None, "salt")
    assert first is not None
    latest = StoredVersion.model_validate(experiment().model_dump() | first | state)
    fields = next_version(definition(**{"traffic": 0.2, **changes}), latest, "other")

    assert fields is not None
    assert (fields["version"], fields["phase"]) == (2, phase)


@pytest.mark.parametrize(
    ("change", "status", "after"),
    [
        ("start", "draft", "running"),
        ("start", "paused", "running"),
        ("start", "running", None),
        ("pause", "running", "paused"),
        ("stop", "paused", "stopped"),
        ("decide", "stopped", "decided"),
        ("archive", "decided", "archived"),
    ],
)
def test_states_follow_each_other(change: str, status: str, after: str | None) -> None:
    ended = {"stopped_at": NOW} if status in {"stopped", "decided"} else {}

    assert state_after(change, experiment(status=status, **ended)) == after


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ("start", "stopped", "Stopped"),
        ("start", "archived", "WrongState"),
        ("pause", "draft", "NotStarted"),
        ("archive", "running", "WrongState"),
    ],
)
def test_a_change_that_the_state_does_not_allow_is_a_conflict(change: str, status: str, code: str) -> None:
    with pytest.raises(ApiError) as refusal:
        state_after(change, experiment(status=status))

    assert (refusal.value.status, refusal.value.code) == (409, code)
