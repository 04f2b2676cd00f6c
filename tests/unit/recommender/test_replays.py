"""Replays of logged answers: the definition's items, and the propensity of each item."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from services.recommender.serving.placements.replays import Replays
from services.recommender.serving.placements.variants import PlacementVariants
from services.recommender.store.placements import DefinedPlacement
from shared.events.servings import Serving
from tests.unit.recommender.test_placement_variants import HOME, a_shop, fixed
from tests.unit.recommender.test_team_draft import an_experiment

NOW = datetime.now(UTC)
OTHER = {"name": "other", "weight": 3.0, "placement": fixed("i3", "i9", limit=2).model_dump()}


class Log:
    """The logged answers, and nobody is erased."""

    def __init__(self, *servings: Serving) -> None:
        self.servings = servings

    async def recent(self, *_: object) -> Sequence[Serving]:
        return self.servings

    async def contains(self, *_: object) -> bool:
        return False


def served(id_: str, variant: str, *item_ids: str, **fields: Any) -> Serving:
    facts: dict[str, Any] = {
        "recommendation_id": id_,
        "served_at": NOW - timedelta(hours=1),
        "surface": "placement",
        "user_id": "u1",
        "item_ids": item_ids,
        "experiment": "e",
        "experiment_version": 2,
        "variant": variant,
        "propensity": 0.25,
    }
    return Serving(**facts | fields)


async def test_a_logged_answer_is_answered_by_the_definition_with_the_events_up_to_it() -> None:
    experiment = an_experiment(OTHER, design={"kind": "split"})
    shop = a_shop(experiment)
    shop.views("i1")
    log = cast(
        "Any",
        Log(
            served("r1", "control", "i1", "i2", "i3"),
            served("r2", "other", "i3", "i9"),
            served("old", "control", "i1", experiment_version=1),
            served("forced", "control", "i1", propensity=None),
        ),
    )
    variants = PlacementVariants(cast("Any", shop.experiments), cast("Any", shop), shop.filters, log)
    replays = Replays(shop.engine, variants, log, log)
    changed = fixed("i1", "i9", "i15")

    answers = await replays.of(experiment, DefinedPlacement("home", HOME, 3), changed, 10)

    assert [(each.serving.recommendation_id, each.target_ids) for each in answers] == [
        ("r1", ["i1", "i9", "i15"]),
        ("r2", ["i1", "i9", "i15"]),
    ]
    # i3 is in both variants, with 0.25 and 0.75; nobody shows i15.
    assert answers[0].propensities == {"i1": 0.25, "i2": 0.25, "i3": 1.0, "i9": 0.75}
    assert answers[1].propensities == {"i1": 0.25, "i3": 1.0, "i9": 0.75}
