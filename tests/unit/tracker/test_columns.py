"""What may be put into a dataset: what its schema has columns for, in their types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.tracker.domain.columns import Columns
from services.tracker.store import Datasets
from shared.personalize import WireError

FIELDS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "CATEGORY_L1", "type": ["null", "string"], "categorical": True},
    {"name": "PRICE", "type": "float"},
    {"name": "NUMBER_OF_RATINGS", "type": ["int", "null"]},
    {"name": "VEGAN", "type": "boolean"},
]
ITEMS = Columns.of("item", json.dumps({"type": "record", "name": "Items", "fields": FIELDS}))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"numberOfRatings": 12, "price": 2, "vegan": True, "category_l1": "tea|green"},
        {"numberOfRatings": "12", "PRICE": "2.5", "vegan": "TRUE", "category": ["tea", "green"]},
        {"categoryL1": None, "number_of_ratings": None},
        # Of the shop's own state, without a column.
        {"inStock": False, "currency": "EUR"},
    ],
)
def test_what_has_a_column_or_a_field_is_taken(said: dict[str, Any]) -> None:
    assert ITEMS.problem(said) is None


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"price": 1, "colour": "red"},
            "'colour' is no column of the dataset's schema, which has ITEM_ID, CAT",
        ),
        ({"price": "dear"}, "'price' is \"dear\", and the column PRICE is of type float"),
        ({"price": None}, "'price' is null"),
        ({"price": "inf"}, "of type float"),
        ({"price": True}, "of type float"),
        ({"numberOfRatings": 1.5}, "of type int"),
        ({"vegan": 1}, "of type boolean"),
        ({"category": {"l1": "tea"}}, "of type string"),
        ({"category": [["tea"]]}, "of type string"),
    ],
)
def test_what_has_none_or_is_of_another_type_is_a_problem(said: dict[str, Any], sentence: str) -> None:
    assert sentence in (ITEMS.problem(said) or "")


class View:
    """Stands for the engine's view."""

    def __init__(self, fields: list[dict[str, Any]] | None) -> None:
        self.fields = fields
        self.asked = 0

    async def fetchrow(self, _: str, *_arguments: object) -> dict[str, str] | None:
        self.asked += 1
        return None if self.fields is None else {"schema": json.dumps({"fields": self.fields})}


async def test_a_problem_names_its_place_and_a_new_schema_counts_at_once() -> None:
    view = View(FIELDS)
    datasets = Datasets(view)  # type: ignore[arg-type]
    puts = [{"price": 1}, {"colour": "red"}]

    with pytest.raises(WireError, match=r"items\.1\.properties: 'colour' is no column") as caught:
        await datasets.check("shop", "item", puts)
    assert caught.value.code == "InvalidInputException"

    view.fields = [*FIELDS, {"name": "COLOUR", "type": ["null", "string"]}]
    await datasets.check("shop", "item", puts)
    asked = view.asked
    await datasets.check("shop", "item", puts)
    assert view.asked == asked, "what is well is not asked for again"


async def test_without_a_dataset_anything_is_taken() -> None:
    await Datasets(View(None)).check("shop", "user", [{"colour": "red"}])  # type: ignore[arg-type]
