"""Experiments on placements: what a variant changes, who gets it, and what is an exposure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.recommender.domain.recipes import USER
from services.recommender.metrics import SET_ASIDE
from services.recommender.serving.assignments import Assignment
from services.recommender.serving.placements.candidates import PlacementAnswer
from services.recommender.serving.placements.request import PlacementRequest
from services.recommender.serving.placements.variants import variant_definition
from services.recommender.serving.recorder import AnswerRecorder
from services.recommender.store.exposures import Shown
from shared.aws.personalize.recommendation_ids import RecommendationIds, signing_key
from shared.events import PlacementChanged
from shared.events.placements import FilterUse, Placement, StrategyUse
from shared.experiments import Experiment, Variant
from tests.unit.recommender.placement_shop import TENANT, Shop, ranked

NOW = datetime.now(UTC)
ARN = "arn:aws:personalize:eu-west-1:000000000000:campaign/c"
NO_TEA = 'EXCLUDE ItemID WHERE Items.CATEGORY IN ("tea")'


def fixed(*item_ids: str, **members: Any) -> Placement:
    return Placement(strategies=(StrategyUse(strategy="fixed", item_ids=item_ids),), fill_up=False, **members)


HOME = fixed("i1", "i2", "i3", limit=3)
USERS = [f"u{n}" for n in range(30)]


def an_experiment(**treatment: Any) -> Experiment:
    variants = [{"name": "control"}, {"name": "treatment", **treatment}]
    fields: dict[str, Any] = {"tenant": TENANT, "name": "e", "version": 2, "surface": "placement/home"}
    times: dict[str, Any] = {"created_at": NOW, "started_at": NOW, "status": "running"}
    return Experiment(variants=variants, traffic=1.0, salt="salt", **fields, **times)  # type: ignore[arg-type]


def a_shop(experiment: Experiment) -> Shop:
    shop = Shop()
    fields: dict[str, Any] = {"name": "home", "revision": 3, "placement": HOME}
    announced = PlacementChanged(event_id="e", tenant=TENANT, occurred_at=NOW, **fields)
    shop.placements.apply(f"{TENANT}:home", announced)
    shop.experiments.running[experiment.surface] = experiment
    return shop


async def answers(shop: Shop, **fields: Any) -> dict[str, PlacementAnswer]:
    return {
        user: await shop.engine.answer(PlacementRequest(TENANT, "home", user, **fields)) for user in USERS
    }


def items_by_variant(given: dict[str, PlacementAnswer]) -> dict[str, set[tuple[str, ...]]]:
    shown: dict[str, set[tuple[str, ...]]] = {}
    for answer in given.values():
        assert answer.assignment is not None
        items = tuple(item.item_id for item in answer.items)
        shown.setdefault(answer.assignment.variant.name, set()).add(items)
    return shown


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [
        ({"placement": fixed("i9", "i8")}, ("i9", "i8")),
        ({"strategy": "popular"}, ("i5", "i6", "i7")),
        ({"strategy": ARN}, ("i12", "i11", "i10")),
        ({"strategy": "item-affinity"}, ("i4", "i3")),
        ({"strategy": "item-affinity@6"}, ("i8", "i9")),
        ({"filter": FilterUse(name="no-tea")}, ("i2",)),
        ({"strategy": "popular", "filter": FilterUse(name="no-tea")}, ("i6", "i8")),
    ],
)
async def test_each_unit_gets_the_placement_of_its_variant(
    treatment: dict[str, Any], expected: tuple[str, ...]
) -> None:
    shop = a_shop(an_experiment(**treatment))
    shop.popular["all"] = ranked(5, 6, 7, 8)
    shop.lists |= {("item-affinity", user): ranked(4, 3) for user in USERS}
    shop.lists |= {("item-affinity@6", user): ranked(8, 9) for user in USERS}
    shop.add_filter("no-tea", NO_TEA)
    shop.deploy(USER, "user", best=["i12", "i11", "i10"])
    shop.views("i1")

    first, second = await answers(shop), await answers(shop)

    assert items_by_variant(first) == {"control": {("i1", "i2", "i3")}, "treatment": {expected}}
    assert {answer.revision for answer in first.values()} == {3}
    for user in USERS:
        assert first[user].assignment == second[user].assignment


async def test_a_page_has_the_variant_of_each_placement() -> None:
    shop = a_shop(an_experiment(placement=fixed("i9", "i8")))

    for user in USERS:
        requests = [PlacementRequest(TENANT, name, user) for name in ("home", "product")]
        home, product = await shop.engine.page(requests)
        alone = await shop.engine.answer(PlacementRequest(TENANT, "home", user))
        assert home.assignment is not None
        assert home.assignment == alone.assignment
        assert product.assignment is None


@pytest.mark.parametrize(
    "treatment", [{"strategy": ARN}, {"filter": FilterUse(name="no-tea")}, {"strategy": "item-affinity@5"}]
)
async def test_a_variant_that_names_what_does_not_exist_is_set_aside(treatment: dict[str, Any]) -> None:
    shop = a_shop(an_experiment(**treatment))
    before = SET_ASIDE.labels("e", "treatment")._value.get()

    given = await answers(shop)

    assert {tuple(item.item_id for item in answer.items) for answer in given.values()} == {("i1", "i2", "i3")}
    assigned = [answer for answer in given.values() if answer.assignment is not None]
    assert {each.assignment.variant.name for each in assigned if each.assignment} == {"control"}
    assert SET_ASIDE.labels("e", "treatment")._value.get() - before == len(USERS) - len(assigned) > 0


async def test_nobody_without_an_id_takes_part_and_a_session_does() -> None:
    shop = a_shop(an_experiment(placement=fixed("i9")))

    nobody = await shop.engine.answer(PlacementRequest(TENANT, "home"))
    session = await shop.engine.answer(PlacementRequest(TENANT, "home", session_id="s1"))
    both = await shop.engine.answer(PlacementRequest(TENANT, "home", "u1", "s1"))

    assert nobody.assignment is None
    assert session.assignment is not None
    assert both.assignment is not None
    assert (session.assignment.unit, both.assignment.unit) == ("s1", "u1")


async def test_a_preview_ignores_experiments() -> None:
    shop = a_shop(an_experiment(placement=fixed("i9", "i8")))

    for user in USERS:
        before, after = await shop.engine.compare(PlacementRequest(TENANT, "home", user), HOME)
        assert before is not None
        assert [item.item_id for item in before.items] == [item.item_id for item in after.items]
        assert before.assignment is after.assignment is None


class Servings:
    """Takes what is recorded."""

    def __init__(self) -> None:
        self.facts: list[Any] = []

    def partition(self, _tenant: str, _subject: str) -> int:
        return 3

    def add(self, *facts: Any) -> None:
        self.facts.append(facts)


async def test_a_recorded_answer_is_an_exposure_whether_it_is_explained_or_not() -> None:
    shop = a_shop(an_experiment(placement=fixed("i9", "i8")))
    exposed: list[tuple[Assignment, Shown, float, bool]] = []

    def expose(assignment: Assignment, shown: Shown, seconds: float, *, is_fallback: bool = False) -> None:
        exposed.append((assignment, shown, seconds, is_fallback))

    servings: Any = Servings()
    recorder = AnswerRecorder(servings, RecommendationIds(signing_key("secret")), expose)
    answer = await shop.engine.answer(PlacementRequest(TENANT, "home", "u1"))
    explained = await shop.engine.answer(PlacementRequest(TENANT, "home", "u1", explain=True))

    id_ = recorder.placement(answer)
    recorder.placement(explained)

    (assignment, shown, seconds, is_fallback), (assignment_of_explained, *_) = exposed
    assert seconds > 0
    assert not is_fallback
    assert assignment_of_explained == assignment
    assert assignment == answer.assignment
    assert shown == Shown(id_, tuple(item.item_id for item in answer.items))
    assert answer.assignment is not None
    (_, encode, facts), _ = servings.facts
    variant = answer.assignment.variant.name.encode()
    assert b'"experiment":"e","experiment_version":2,"variant":"%b"' % variant in encode(*facts)


def test_a_control_changes_nothing_and_a_definition_keeps_what_a_variant_does_not_name() -> None:
    placement = fixed("i1", filters=(FilterUse(name="a"),), limit=7)
    added = variant_definition(placement, Variant(name="v", filter=FilterUse(name="b")))

    assert variant_definition(placement, Variant(name="control")) is placement
    assert [use.name for use in added.filters] == ["a", "b"]
    assert (added.strategies, added.limit, added.fill_up) == (placement.strategies, 7, False)
