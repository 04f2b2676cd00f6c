"""Assignment: units keep their variant, shares follow the weights, and the decisions are independent."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.router.domain.experiments import Definition, StoredVersion, next_version
from services.router.domain.sample_ratio import sample_ratio_p
from shared.experiments import Experiment, Variant
from shared.experiments.assignment import BUCKETS, bucket, is_eligible, range_ends, variant_index

UNITS = [f"user-{n}" for n in range(20_000)]
NOW = datetime(2026, 11, 20, tzinfo=UTC)

GOLDEN = {"user-1": 95277, "Jürgen": 481170}

texts = st.text(min_size=1, max_size=40)
weights = st.lists(st.floats(0.01, 1000), min_size=2, max_size=12)


def experiment(**fields: object) -> Experiment:
    variants = [Variant(name="a"), Variant(name="b", strategy="item-affinity")]
    defaults: dict[str, object] = {
        "tenant": "shop",
        "name": "test",
        "version": 1,
        "surface": "recommendations",
        "variants": variants,
        "traffic": 1.0,
        "salt": "salt",
        "status": "running",
        "created_at": NOW,
        "started_at": NOW,
    }
    return Experiment.model_validate(defaults | fields)


def stored(**fields: object) -> StoredVersion:
    return StoredVersion.model_validate(experiment().model_dump() | fields)


def test_buckets_never_change() -> None:
    """A different number changes the assignments of every experiment of every shop."""
    assert bucket("salt", "variant", "user-1") == GOLDEN["user-1"]
    assert bucket("salt", "traffic", "Jürgen") == GOLDEN["Jürgen"]


ON_A_PLACEMENT = [
    {
        "placement": {
            "strategies": [{"strategy": "popular"}],
            "rules": {"pins": [{"item_id": "i", "position": 1}]},
        }
    },
    {"strategy": "trending", "filter": {"name": "in-stock", "values": {"CITY": "Lahore"}}},
    {"strategy": "arn:aws:personalize:eu-west-1:000000000000:campaign/winter"},
]


@pytest.mark.parametrize("arm", ON_A_PLACEMENT)
def test_an_arm_of_a_placement_survives_storing_and_announcing(arm: dict[str, object]) -> None:
    variants = [{"name": "control"}, {"name": "b", **arm}]
    definition = Definition.model_validate({"name": "e", "surface": "placement/home", "variants": variants})
    fields = next_version(definition, None, "salt")
    assert fields is not None
    version = stored(**fields)

    assert version.variants == definition.variants
    assert Experiment.of(version.changed()).variants == definition.variants
    assert next_version(definition, version, "other") is None


@pytest.mark.parametrize(
    ("surface", "arm", "complaint"),
    [
        ("recommendations", ON_A_PLACEMENT[0], "needs a surface placement/<name>"),
        ("recommendations", {"filter": {"name": "f"}}, "filter needs a surface"),
        ("placement/Home", {}, "should match pattern"),
        ("placement/home", {"strategy": "fixed"}, "needs an argument"),
        ("placement/home", {**ON_A_PLACEMENT[0], "strategy": "popular"}, "not both"),
        ("placement/home", {"placement": {"strategies": [{"strategy": "fixed"}]}}, "needs item_ids"),
        ("placement/home", {"placement": {"strategies": [{"strategy": "popular"}], "limitt": 3}}, "limitt"),
    ],
)
def test_an_arm_that_could_never_answer_is_refused(
    surface: str, arm: dict[str, object], complaint: str
) -> None:
    variants = [{"name": "control"}, {"name": "b", **arm}]
    with pytest.raises(ValidationError, match=complaint):
        Definition.model_validate({"name": "e", "surface": surface, "variants": variants})


@given(salt=texts, unit=texts, low=st.floats(0.001, 1), high=st.floats(0.001, 1), shares=weights)
def test_more_traffic_only_adds_units(
    salt: str, unit: str, low: float, high: float, shares: list[float]
) -> None:
    low, high = sorted((low, high))
    variants = tuple(Variant(name=f"v{n}", weight=share) for n, share in enumerate(shares))
    before = experiment(salt=salt, traffic=low, variants=variants).assign(unit)
    after = experiment(salt=salt, traffic=high, variants=variants, version=2).assign(unit)

    assert before is None or before == after


@given(shares=weights)
def test_ranges_are_half_open_and_cover_every_bucket(shares: list[float]) -> None:
    ends = range_ends(shares)

    assert ends[-1] == BUCKETS
    assert all(before <= after for before, after in pairwise((0, *ends)))


@given(unit=texts, shares=weights)
def test_a_unit_has_exactly_one_variant(unit: str, shares: list[float]) -> None:
    ends = range_ends(shares)
    number = variant_index("salt", unit, ends)
    at = bucket("salt", "variant", unit)

    assert (ends[number - 1] if number else 0) <= at < ends[number]


def test_shares_follow_the_weights() -> None:
    variants = (Variant(name="a", weight=1), Variant(name="b", weight=1), Variant(name="c", weight=2))
    counts = Counter(
        variant.name for unit in UNITS if (variant := experiment(variants=variants).assign(unit))
    )

    p = sample_ratio_p([counts["a"], counts["b"], counts["c"]], [1, 1, 2])
    assert p is not None
    assert p > 0.001


def test_the_share_of_eligible_units_is_the_traffic() -> None:
    within = sum(is_eligible("salt", unit, 0.05) for unit in UNITS)

    p = sample_ratio_p([within, len(UNITS) - within], [5, 95])
    assert p is not None
    assert p > 0.001


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("salt", "traffic"), ("salt", "variant")),
        (("one", "variant"), ("two", "variant")),
        (("one", "traffic"), ("two", "traffic")),
    ],
)
def test_two_decisions_are_independent(first: tuple[str, str], second: tuple[str, str]) -> None:
    """χ² over a 4 by 4 table: 9 degrees of freedom, of which 27.88 is exceeded once in a thousand."""
    table = Counter(
        (bucket(*first, unit) * 4 // BUCKETS, bucket(*second, unit) * 4 // BUCKETS) for unit in UNITS
    )
    rows = Counter({row: sum(table[row, column] for column in range(4)) for row in range(4)})
    columns = Counter({column: sum(table[row, column] for row in range(4)) for column in range(4)})
    chi2 = sum(
        (table[row, column] - rows[row] * columns[column] / len(UNITS)) ** 2
        / (rows[row] * columns[column] / len(UNITS))
        for row in range(4)
        for column in range(4)
    )

    assert chi2 < 27.88


def test_a_ramp_from_5_to_50_percent_keeps_every_assignment() -> None:
    small, large = experiment(traffic=0.05), experiment(traffic=0.5)
    taking_part = [unit for unit in UNITS if small.assign(unit)]

    assert len(taking_part) > 800
    assert all(small.assign(unit) == large.assign(unit) for unit in taking_part)


def test_the_salt_stays_while_the_ranges_do() -> None:
    definition = Definition(
        name="x", surface="recommendations", variants=(Variant(name="a"), Variant(name="b"))
    )
    first = next_version(definition, None, "salt-1")
    assert first is not None
    latest = stored(**first)

    assert next_version(definition, latest, "salt-2") is None
    wider = next_version(definition.model_copy(update={"traffic": 0.5}), latest, "salt-2")
    assert wider is not None
    assert (wider["version"], wider["salt"]) == (2, "salt-1")
    heavier = definition.model_copy(update={"variants": (Variant(name="a", weight=3), Variant(name="b"))})
    heavier_version = next_version(heavier, latest, "salt-2")
    assert heavier_version is not None
    assert heavier_version["salt"] == "salt-2"


@pytest.mark.parametrize(
    "mistake",
    [
        {"surface": "somewhere"},
        {"surface": "campaign/"},
        {"variants": [{"name": "alone"}]},
        {"variants": [{"name": "twin"}, {"name": "twin"}]},
        {"variants": [{"name": "a", "weight": 0}, {"name": "b"}]},
        {"variants": [{"name": "a", "weight": 1e308}, {"name": "b", "weight": 1e308}]},
        {"variants": [{"name": "a", "strategy": "No Recipe"}, {"name": "b"}]},
        {"traffic": 0},
        {"traffic": 1.01},
        {"name": "Not A Slug"},
        {"colour": "red"},
        {"layer": {"name": "l", "start": 0.5, "end": 0.5}},
        {"layer": {"name": "l", "end": 1.5}},
        {"unit": "household"},
        {"metrics": []},
        {"metrics": [{"name": "m", "event": "view"}, {"name": "m", "event": "click"}]},
        {"metrics": [{"name": "m", "event": "view", "winsorize": 0.9}]},
        {"surface": "holdout"},
        {"salt": "a\0b"},
        {"variants": [{"name": "a", "strategy": "arn:\0:campaign/a"}, {"name": "b"}]},
        {"variants": [{"name": "a", "strategy": f"arn:aws:campaign/{'a' * 300}"}, {"name": "b"}]},
    ],
)
def test_an_invalid_definition_is_rejected(mistake: dict[str, object]) -> None:
    right: dict[str, object] = {
        "name": "x",
        "surface": "campaign/home",
        "variants": [{"name": "a"}, {"name": "b", "strategy": "popularity"}],
    }
    Definition.model_validate(right)

    with pytest.raises(ValidationError):
        Definition.model_validate(right | mistake)


@pytest.mark.parametrize("unit", ["", "u" * 257, "a\0b", "\0", "\ud800"])
def test_a_unit_that_is_no_valid_name_takes_no_part(unit: str) -> None:
    assert experiment().assign(unit) is None


def test_the_longest_name_takes_part() -> None:
    assert experiment().assign("ü" * 256) is not None
