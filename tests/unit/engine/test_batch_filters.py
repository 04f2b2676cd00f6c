"""Batch inference through a filter: every line by its own values, in its own place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from services.engine.computations import batch_segment
from services.engine.computations.batch_filters import FilterRequest, ItemFilter, UserFilter, group_by_query
from services.engine.computations.batch_scoring import BatchScorer
from services.engine.computations.later_events import interaction_index
from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.recipes import RECIPES, Dataset, train
from shared.errors import Permanent
from shared.filters import FilterError
from shared.models import InteractionIndex, Model, load, save

USERS, ITEMS = 30, 12
TYPES = ("purchase", "refund", "view")


def dataset() -> Dataset:
    """User u views i(u mod 12) and the next three, and buys the first; u0 alone refunds i5."""
    rows = [
        (user, (user + step) % ITEMS, 1_000 + step * 10 + user, 2)
        for user in range(USERS)
        for step in range(4)
    ]
    rows += [(user, user % ITEMS, 2_000 + user, 0) for user in range(USERS)]
    rows += [(0, 5, 3_000, 1)]
    users, items, times, types = np.array(sorted(rows, key=lambda row: (row[0], row[2]))).T
    width = len(str(ITEMS - 1))
    return Dataset(
        user_ids=np.array([f"u{user:02}" for user in range(USERS)], object),
        item_ids=np.array([f"i{item:0{width}}" for item in range(ITEMS)], object),
        users=users.astype(np.int32),
        items=items.astype(np.int32),
        times=times,
        event_types=types.astype(np.int16),
        event_type_names=TYPES,
        values=np.full(len(users), np.nan, np.float32),
        item_columns={
            "SHELF": np.array([f"s{item % 3}" for item in range(ITEMS)], object),
            "PRICE": np.arange(ITEMS, dtype=np.float64),
        },
        user_columns={"AGE": np.array([10.0 + user for user in range(USERS)])},
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """Models of three kinds, as a worker reads them from their folders."""
    made = {}
    for name in ("aws-user-personalization", "aws-similar-items", "aws-popularity-count"):
        model, _ = train(RECIPES[name], dataset(), TrainingConfig())
        folder = tmp_path_factory.mktemp("models") / name
        save(model, folder)
        made[name] = load(folder)
    return made


def answered(model: Model, expression: str, *lines: dict[str, Any], results: int = ITEMS) -> list[Any]:
    """For each line the items, or the error."""
    scorer = BatchScorer(model, results, ItemFilter(expression, model))
    raw = [orjson.dumps(line) + b"\n" for line in lines]
    parsed = list(scorer.lines(iter(raw)))  # type: ignore[arg-type]
    outputs = [orjson.loads(text) for text in scorer.score(parsed)]
    assert [output["input"] for output in outputs] == list(lines)
    return [output["error"] or set(output["output"]["recommendedItems"]) for output in outputs]


def ids(*numbers: int) -> set[str]:
    return {f"i{number:02}" for number in numbers}


def test_every_line_has_its_own_values(models: dict[str, Model]) -> None:
    found = answered(
        models["aws-user-personalization"],
        "INCLUDE ItemID WHERE Items.SHELF IN ($SHELVES)",
        {"userId": "u01", "filterValues": {"SHELVES": '"s0"'}},
        {"userId": "u01", "filterValues": {"SHELVES": '"s1","s2"'}},
        {"userId": "u01"},
        {"userId": "u02", "filterValues": {"SHELVES": '"s0"'}},
        {"userId": "nobody", "filterValues": {"SHELVES": '"s0"'}},
        {"userId": "u03", "filterValues": {"SHELF": '"s0"'}},
        {"userId": "u03", "filterValues": {"SHELVES": 7}},
        {"userId": "u01", "filterValues": {"SHELVES": '"s0"'}},
    )

    shelf = ids(0, 3, 6, 9)
    assert found[0] == found[3] == found[4] == found[7] == shelf
    assert found[1] == ids(*range(ITEMS)) - shelf
    assert "includes by the parameter SHELVES" in found[2]
    assert "no parameter SHELF; its parameters: SHELVES" in found[5]
    assert "must be an object of texts" in found[6]


def test_what_the_user_did_counts_even_if_training_does_not_count_it(models: dict[str, Model]) -> None:
    model = models["aws-user-personalization"]

    everything = answered(model, "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE = *", {"userId": "u00"})
    bought = answered(model, 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "Buy"', {"userId": "u14"})
    refunded = answered(
        model, 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "refund"', {"userId": "u00"}, {"userId": "u01"}
    )

    assert everything == [ids(*range(ITEMS)) - ids(0, 1, 2, 3, 5)]
    assert bought == [ids(2)]
    assert refunded == [ids(5), set()]


def test_a_premise_asks_each_lines_user(models: dict[str, Model]) -> None:
    found = answered(
        models["aws-user-personalization"],
        'INCLUDE ItemID WHERE Items.PRICE < 2 IF CurrentUser.AGE > 20 AND CurrentUser.USER_ID NOT IN ("u29")',
        {"userId": "u10"},
        {"userId": "u11"},
        {"userId": "u29"},
        {"userId": "nobody"},
    )

    assert found == [ids(*range(ITEMS)), ids(0, 1), ids(*range(ITEMS)), ids(*range(ITEMS))]


def test_related_items_may_ask_for_the_current_one(models: dict[str, Model]) -> None:
    found = answered(
        models["aws-similar-items"],
        "INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE AND Items.SHELF IN CurrentItem.SHELF",
        {"itemId": "i07"},
        {"itemId": "i01"},
    )

    assert found == [ids(1, 4), set()]


def test_popular_items_pass_the_filter_too(models: dict[str, Model]) -> None:
    model = models["aws-popularity-count"]
    expression = "EXCLUDE ItemID WHERE Items.SHELF IN ($SHELF)"

    found = answered(
        model, expression, {}, {"filterValues": {"SHELF": "s0"}}, {"filterValues": {"SHELF": "s1"}}, results=3
    )

    assert [len(items) for items in found] == [3, 3, 3]
    assert not found[1] & ids(0, 3, 6, 9)
    assert not found[2] & ids(1, 4, 7, 10)


@pytest.mark.parametrize(
    ("recipe", "expression", "said"),
    [
        ("aws-similar-items", "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE = *", "does not keep that"),
        ("aws-popularity-count", "INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE", "CurrentItem"),
    ],
)
def test_a_model_that_can_not_know_fails_the_job(
    models: dict[str, Model], recipe: str, expression: str, said: str
) -> None:
    without_interactions = replace(models[recipe], interactions=InteractionIndex())
    with pytest.raises(Permanent, match=said):
        ItemFilter(expression, without_interactions)


def test_related_items_leave_out_what_the_line_s_user_bought(models: dict[str, Model]) -> None:
    expression = "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE = 'purchase'"
    lines = [{"itemId": "i02"}, {"itemId": "i02", "userId": "u01"}]
    everything, unbought = answered(models["aws-similar-items"], expression, *lines)
    assert everything - unbought == ids(1)


def test_what_was_imported_later_counts(models: dict[str, Model]) -> None:
    model = models["aws-user-personalization"]
    rows = pa.table(
        {
            "USER_ID": ["u01", "u01", "stranger"],
            "ITEM_ID": ["i07", "unknown", "i08"],
            "TIMESTAMP": [5_000, 5_000, 5_000],
            "EVENT_TYPE": ["Purchase", "Purchase", "Wave"],
        }
    )
    item_filter = ItemFilter(
        "INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ($TYPES)",
        model,
        interaction_index(Dataset.from_arrow(rows), model),
    )

    def found(user: str, types: str) -> list[int]:
        request = item_filter.request(user, {"userId": user, "filterValues": {"TYPES": types}})
        return np.flatnonzero(item_filter.mask(request)).tolist()

    assert found("u01", "purchase") == [1, 7]
    assert found("u02", "purchase") == [2]
    assert found("stranger", "wave") == [8]
    assert found("stranger", "purchase") == []


def test_users_of_segments_by_attributes_and_interactions(models: dict[str, Model]) -> None:
    model = models["aws-user-personalization"]
    everybody = np.ones(len(model.users), bool)

    def found(expression: str, **values: str) -> list[int]:
        return np.flatnonzero(
            UserFilter(expression, model, everybody).mask({"filterValues": values})
        ).tolist()

    assert found("INCLUDE UserID WHERE Users.AGE < $AGE", AGE="13") == [0, 1, 2]
    assert found('INCLUDE UserID WHERE Interactions.EVENT_TYPE = "refund"') == [0]
    assert found("EXCLUDE UserID WHERE Interactions.EVENT_TYPE = *") == []
    with pytest.raises(FilterError, match="no parameter YEARS"):
        found("INCLUDE UserID WHERE Users.AGE < $AGE", YEARS="1")


def test_lines_of_a_segment_job_share_masks_of_who_is_there(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models["aws-user-personalization"]
    monkeypatch.setattr(batch_segment, "MASK_BYTES_AT_ONCE", 3 * len(model.users))
    erased = [model.users[1]]
    same = batch_segment.SegmentFinder(model, erased, "INCLUDE UserID WHERE Users.AGE < 13")
    own = batch_segment.SegmentFinder(model, erased, "INCLUDE UserID WHERE Users.AGE < $AGE")

    lines = [same.parse(orjson.dumps({"itemId": model.items[0]})) for _ in range(2)]
    assert lines[0].allowed is not None
    assert np.flatnonzero(lines[0].allowed).tolist() == [0, 2]
    assert lines[1].allowed is lines[0].allowed
    # So many lines are answered together as fit into memory with their masks.
    assert same.lines_at_once(1) == batch_segment.LINES_AT_ONCE
    assert own.lines_at_once(1) == 3


def test_lines_go_in_as_few_passes_as_can_be() -> None:
    a, b, c = (FilterRequest("u", None, (("P", value),)) for value in "abc")
    other = FilterRequest("v", None, ())

    found = list(group_by_query([a, b, other, a, c, b]))

    assert found == [{"u": (a, [0, 3]), "v": (other, [2])}, {"u": (b, [1, 5])}, {"u": (c, [4])}]
