"""Shadow answers: made after the shown one, recorded as such, and without any effect on it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from services.recommender.metrics import SHADOWS
from services.recommender.serving.placements.candidates import PlacementAnswer
from services.recommender.serving.placements.request import PlacementRequest
from services.recommender.serving.placements.shadows import ShadowAnswers
from services.recommender.serving.recorder import AnswerRecorder
from services.recommender.serving.unseen_answers import MAX_WAITING, UnseenAnswers
from tests.unit.recommender.placement_shop import TENANT, Shop, ranked
from tests.unit.recommender.test_placement_variants import a_shop, fixed
from tests.unit.recommender.test_servings import IDS, Broker, started
from tests.unit.recommender.test_team_draft import POPULAR, an_experiment

MISSING = {"name": "missing", "filter": {"name": "no-such-filter"}}


def counted(outcome: str) -> float:
    return float(SHADOWS.labels(outcome)._value.get())


def the_shop(*variants: dict[str, Any], share: float = 1.0) -> Shop:
    shop = a_shop(an_experiment(*variants, design={"kind": "shadow", "share": share}))
    shop.popular["all"] = ranked(5, 2, 7)
    return shop


async def served(shop: Shop, folder: Path, requests: list[PlacementRequest]) -> tuple[Broker, list[Any]]:
    """Answer and record requests, wait for their shadows; return what was published, and exposures."""
    broker, exposed = Broker(), list[Any]()
    servings = started(broker, folder)
    await servings.start()
    recorder = AnswerRecorder(servings, IDS, lambda *each: exposed.append(each))
    unseen = UnseenAnswers()
    ShadowAnswers(shop.engine, recorder, cast("Any", None), unseen)
    for request in requests:
        recorder.placement(await shop.engine.answer(request))
    if unseen._task is not None:
        await unseen._task
    await unseen.stop()
    await servings.stop()
    return broker, exposed


async def test_a_shadow_is_recorded_beside_the_usual_answer_and_nobody_is_exposed(tmp_path: Path) -> None:
    shop = the_shop(POPULAR, {"name": "last", "placement": fixed("i1", "i9").model_dump()}, MISSING)
    request = PlacementRequest(TENANT, "home", "u1", "s1", limit=3)
    before = counted("answered")

    broker, exposed = await served(shop, tmp_path, [request])

    shown, popular, last = broker.servings()
    assert (shown.item_ids, shown.experiment, shown.shadow) == (("i1", "i2", "i3"), None, None)
    assert (popular.variant, popular.item_ids) == ("popular", ("i5", "i2", "i7"))
    assert (last.variant, last.item_ids) == ("last", ("i1", "i9"))
    assert (popular.user_id, popular.session_id, popular.request) == ("u1", "s1", {"limit": 3})
    assert popular.shadow is not None
    assert last.shadow is not None
    assert popular.shadow.of == last.shadow.of == shown.recommendation_id
    assert (popular.shadow.overlap, last.shadow.overlap, last.shadow.size) == (0.3333, 0.3333, 3)
    assert popular.shadow.milliseconds > 0
    assert popular.shadow.shown_milliseconds > 0
    assert exposed == []
    assert counted("answered") - before == 2


async def test_only_a_share_of_the_requests_has_shadows() -> None:
    shop = the_shop(POPULAR, share=0.3)
    answers = [await shop.engine.answer(PlacementRequest(TENANT, "home", f"u{n}")) for n in range(300)]

    assert 50 < sum(answer.shadows is not None for answer in answers) < 130
    assert {answer.assignment for answer in answers} == {None}


async def test_a_failing_or_slow_shadow_changes_no_answer(tmp_path: Path, monkeypatch: Any) -> None:
    shop = the_shop(POPULAR)
    failed, dropped = counted("failed"), counted("dropped")

    async def fail(*_: Any) -> PlacementAnswer:
        raise RuntimeError

    monkeypatch.setattr(shop.engine, "trial", fail)
    broker, _ = await served(shop, tmp_path, [PlacementRequest(TENANT, "home", "u1")])
    assert [serving.item_ids for serving in broker.servings()] == [("i1", "i2", "i3")]
    assert counted("failed") - failed == 1

    async def hang(*_: Any) -> PlacementAnswer:
        await asyncio.sleep(3_600)
        raise AssertionError

    monkeypatch.setattr(shop.engine, "trial", hang)
    recorder = AnswerRecorder(started(Broker(), tmp_path), IDS)
    unseen = UnseenAnswers()
    shadows = ShadowAnswers(shop.engine, recorder, cast("Any", None), unseen)
    answer = await shop.engine.answer(PlacementRequest(TENANT, "home", "u1"))
    for number in range(MAX_WAITING + 5):
        shadows.add(answer, f"r{number}")
    await unseen.stop()
    assert counted("dropped") - dropped == 5
