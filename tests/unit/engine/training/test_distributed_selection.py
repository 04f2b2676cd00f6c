"""Methods are selected and evaluated over sums of a second backend as over interactions in memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
import scipy

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.aggregates import EventRule, MatrixRequest
from services.engine.training.dataset.event_weights import rule_mask
from services.engine.training.distributed.aggregates import partial_aggregate
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset, train
from shared.models import Model

USERS = 90
ITEMS = 24
TYPES = ("view", "add_to_cart", "purchase")


@dataclass(frozen=True)
class SumsInMemory:
    """`DistributedAggregates` in this process: the sums of the parts of a data set."""

    parts: tuple[Dataset, ...]

    def counting(self, rule: EventRule) -> SumsInMemory:
        return SumsInMemory(tuple(part.where(rule_mask(part, rule)) for part in self.parts))

    def without(self, users: Collection[str], *, but: Dataset) -> SumsInMemory:
        kept = tuple(part.where(~np.isin(part.user_ids[part.users], [*users])) for part in self.parts)
        return SumsInMemory((*kept, but))

    def matrix(self, request: MatrixRequest) -> scipy.sparse.csr_array:
        return sum(partial_aggregate(part, request).astype(np.float64) for part in self.parts if len(part))


@pytest.fixture
def shop() -> Dataset:
    """Five tastes, repeats, and three types of events."""
    chance = np.random.default_rng(7)
    users = chance.integers(0, USERS, 1_500)
    items = (chance.integers(0, ITEMS // 4, len(users)) * 4 + users % 4) % ITEMS
    return Dataset.from_arrow(
        pa.table(
            {
                "USER_ID": [f"u{user}" for user in users],
                "ITEM_ID": [f"i{item:02}" for item in items],
                "TIMESTAMP": 1_700_000_000 + chance.integers(0, 60 * 86_400, len(users)),
                "EVENT_TYPE": [TYPES[number] for number in chance.integers(0, 3, len(users))],
            }
        )
    )


def _selected(model: Model) -> list[tuple[str, str, float, str]]:
    return [(part["name"], part["variant"], part["decay"], part["unit"]) for part in model.notes["parts"]]


def test_a_training_over_sums_selects_what_one_in_memory_selects(shop: Dataset) -> None:
    halves = tuple(shop.where(shop.users % 2 == half) for half in (0, 1))
    recipe = RECIPES["aws-user-personalization"]

    here, metrics = train(recipe, shop, TrainingConfig(), silent, None)
    there, summed = train(
        recipe, replace(shop, aggregates=SumsInMemory(halves)), TrainingConfig(), silent, None
    )

    assert summed == pytest.approx(metrics)
    assert _selected(there) == _selected(here)
    for user in here.users.strings:
        mine, other = (
            dict(model.recommend(user_id=user, limit=5, relevance=True)) for model in (here, there)
        )
        assert mine.keys() == other.keys()
        assert [other[item] for item in mine] == pytest.approx([*mine.values()], abs=1e-4)
