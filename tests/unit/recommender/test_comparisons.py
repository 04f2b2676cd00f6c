"""Comparisons of shown answers with those of the other variants: who is marked, in both variants alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.recommender.metrics import COMPARED
from services.recommender.serving.assignments import Assignment
from services.recommender.serving.comparisons import Comparisons
from services.recommender.serving.placements.request import PlacementRequest
from services.recommender.serving.placements.shadows import ShadowAnswers
from services.recommender.serving.recorder import AnswerRecorder
from services.recommender.serving.unseen_answers import UnseenAnswers
from services.recommender.store.exposures import Exposure
from shared.experiments import Variant
from tests.unit.recommender.placement_shop import TENANT, Shop, ranked
from tests.unit.recommender.test_placement_variants import USERS, a_shop, fixed
from tests.unit.recommender.test_recent_assignments import SURFACE, Serving
from tests.unit.recommender.test_servings import IDS, Broker, started
from tests.unit.recommender.test_team_draft import an_experiment

SPLIT = {"design": {"kind": "split"}, "trigger_share": 1.0}
SAME, OTHER = fixed("i1", "i2", "i3"), fixed("i1", "i3", "i2")


def counted(outcome: str) -> float:
    return float(COMPARED.labels(outcome)._value.get())


def body(*item_ids: str) -> bytes:
    rows = [{"product_id": item_id} for item_id in item_ids]
    return orjson.dumps({"recommendations": rows, "recommendation_id": "r"})


def marked(serving: Serving) -> list[Exposure]:
    return [each for each in serving.exposures._waiting if each.differs]


async def compared(shop: Shop, requests: Sequence[PlacementRequest], folder: Path) -> set[str]:
    """Answer and record requests, and wait for their comparisons; return the units that are marked."""
    serving, unseen = Serving(), UnseenAnswers()
    servings = started(Broker(), folder)
    await servings.start()
    recorder = AnswerRecorder(servings, IDS, serving.experiments.expose)
    ShadowAnswers(shop.engine, recorder, Comparisons(serving.experiments, unseen), unseen)
    for request in requests:
        for answer in await shop.engine.page([request]):
            recorder.placement(answer)
        if unseen._task is not None:
            await unseen._task
    await servings.stop()
    return {each.unit for each in marked(serving)}


@pytest.mark.parametrize(("treatment", "expected"), [(SAME, set()), (OTHER, set(USERS))])
async def test_units_of_both_variants_are_marked_if_the_answers_differ(
    treatment: Any, expected: set[str], tmp_path: Path
) -> None:
    shop = a_shop(an_experiment({"name": "new", "placement": treatment.model_dump()}, **SPLIT))
    requests = [PlacementRequest(TENANT, "home", user, limit=3) for user in USERS]

    assert await compared(shop, requests, tmp_path) == expected


async def test_other_items_in_the_same_order_are_needed_for_the_same_answer(tmp_path: Path) -> None:
    shop = a_shop(an_experiment({"name": "new", "strategy": "popular"}, **SPLIT))
    shop.popular["all"] = ranked(1, 2, 3)
    requests = [PlacementRequest(TENANT, "home", user, limit=3) for user in ("u1", "u2")]
    assert await compared(shop, requests, tmp_path) == set()
    shop.popular["all"] = ranked(3, 2, 1)
    assert await compared(shop, requests[:1], tmp_path) == {"u1"}


async def test_a_share_of_the_units_is_compared_and_forced_ones_never(tmp_path: Path) -> None:
    experiment = an_experiment(
        {"name": "new", "placement": OTHER.model_dump()}, **SPLIT | {"trigger_share": 0.5}
    )
    shop = a_shop(experiment.model_copy(update={"forced": {"u0": "new", "u1": "new", "u2": "control"}}))
    requests = [PlacementRequest(TENANT, "home", user, limit=3) for user in USERS]

    units = await compared(shop, requests, tmp_path)

    assert units == {user for user in USERS[3:] if experiment.compares(user)}
    assert 5 < len(units) < 25


async def test_a_unit_is_marked_once_by_the_first_answer_that_differs() -> None:
    serving, unseen = Serving(), UnseenAnswers()
    serving.run(trigger_share=1.0)
    comparisons = Comparisons(serving.experiments, unseen)
    before = {outcome: counted(outcome) for outcome in ("compared", "failed")}
    failing, same, missing, other = object(), ("i1", "i2"), None, ("i2", "i1")

    async def answer_of(answer: object, variant: Variant) -> Any:
        assert variant.name != assignment.variant.name
        if answer is failing:
            raise RuntimeError
        return answer

    for answer in (same, missing, failing, other, other):
        assignment = serving.experiments.assign("shop", SURFACE, "u1")
        assert isinstance(assignment, Assignment)
        if assignment.is_compared:
            comparisons.later(assignment, body("i1", "i2"), partial(answer_of, answer))
            assert unseen._task is not None
            await unseen._task

    (mark,) = marked(serving)
    assert (mark.unit, mark.answer) == ("u1", ("r", ("i1", "i2")))
    assert Exposure.of_content(mark.content()) == mark
    assert [counted(each) - count for each, count in before.items()] == [3, 1]


def test_the_journal_of_an_earlier_release_has_no_mark() -> None:
    fields = ["id", "shop", "e", 1, SURFACE, "a", 0.5, None, "u1", 1.5, ["r", ["i1"]]]

    exposure = Exposure.of_content(orjson.dumps(fields))

    assert (exposure.unit, exposure.at, exposure.differs) == ("u1", 1.5, False)
