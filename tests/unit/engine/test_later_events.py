"""Interactions of later imports, in a model's numbers."""

from __future__ import annotations

import pyarrow as pa

from services.engine.computations.later_events import from_dataset
from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset


def dataset(*rows: tuple[str, str, int, str]) -> Dataset:
    users, items, times, types = zip(*rows, strict=True)
    return Dataset.from_arrow(
        pa.table({"USER_ID": users, "ITEM_ID": items, "TIMESTAMP": times, "EVENT_TYPE": types})
    )


def test_unknown_items_are_left_out_and_types_are_the_models() -> None:
    model = RECIPES["endcap-next-basket"].fit(
        dataset(("a", "tea", 1, "Purchase"), ("a", "cup", 2, "view")), TrainingConfig(), silent
    )
    later = from_dataset(
        dataset(("new", "cup", 9, "view"), ("new", "novelty", 5, "view"), ("new", "tea", 7, "wink")), model
    )
    assert later.users.strings == ["new"]
    events = later.histories
    assert [model.items[item] for item in events.items] == ["tea", "cup"]
    assert events.times.tolist() == [7, 9]
    types = model.scoring.event_types
    assert [types[number] for number in events.types] == ["", "view"]
    assert list(model.recommend_many(["new"], 2, later=later)) != list(model.recommend_many(["new"], 2))
