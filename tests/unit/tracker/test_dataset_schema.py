"""What may be put into a dataset: what its schema has columns for, in their types."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from services.tracker.domain.dataset_schema import DatasetSchema
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.personalize import item_puts
from services.tracker.store import Datasets
from shared.aws import WireError
from shared.aws.personalize.events import PutItemsRequest
from shared.errors import Permanent

ARN = "arn:aws:personalize:eu-west-1:1:dataset/shop/ITEMS"

FIELDS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "CATEGORY_L1", "type": ["null", "string"], "categorical": True},
    {"name": "PRICE", "type": "float"},
    {"name": "NUMBER_OF_RATINGS", "type": ["int", "null"]},
    {"name": "VEGAN", "type": "boolean"},
    {"name": "CREATION_TIMESTAMP", "type": "long"},
    {"name": "IN_STOCK", "type": "int"},
    {"name": "AVAILABLE", "type": "string"},
    {"name": "TITLE", "type": "string"},
    {"name": "NAME", "type": "string"},
]
ITEMS = DatasetSchema.parse("item", json.dumps({"type": "record", "name": "Items", "fields": FIELDS}))


@pytest.mark.parametrize(
    ("properties", "fields", "columns"),
    [
        ({}, {}, {}),
        (
            {"numberOfRatings": 12, "price": 2, "vegan": True, "category_l1": "tea|green"},
            {"price": 2.0, "category": "tea|green"},
            {"numberOfRatings": 12, "vegan": True},
        ),
        (
            {"numberOfRatings": "12.0", "PRICE": "2.5", "vegan": "TRUE", "category": ["tea", 5]},
            {"price": 2.5, "category": "tea|5"},
            {"numberOfRatings": 12, "vegan": True},
        ),
        ({"categoryL1": None, "number_of_ratings": None}, {"category": None}, {"number_of_ratings": None}),
        # Of the shop's own state, without a column.
        ({"currency": "EUR"}, {"currency": "EUR"}, {}),
        # Availability is the shop's alone: a column of that name is a column.
        ({"inStock": 7, "available": "Y"}, {}, {"inStock": 7, "available": "Y"}),
        ({"IN_STOCK": 0}, {}, {"IN_STOCK": 0}),
        # What the field can't hold, or would not give back, is kept as the column.
        ({"creationTimestamp": "1700000000"}, {"created_at": "2023-11-14T22:13:20+00:00"}, {}),
        ({"creationTimestamp": 1_700_000_000_000}, {}, {"creationTimestamp": 1_700_000_000_000}),
        ({"price": 2e12}, {}, {"price": 2e12}),
        ({"name": " Cup "}, {"name": "Cup"}, {"name": " Cup "}),
        # What the field can hold, and the column can't.
        ({"creationTimestamp": "2023-11-14T22:13:20Z"}, {"created_at": "2023-11-14T22:13:20+00:00"}, {}),
        # Of several columns that mean a field, the one with its name stands for it.
        ({"title": "Mug", "name": "Cup"}, {"name": "Cup"}, {"title": "Mug"}),
        # Of two spellings of a column the last holds.
        ({"PRICE": 3, "price": 2e12}, {}, {"price": 2e12}),
    ],
)
def test_a_value_that_fits_is_kept_as_its_column_and_as_the_field_it_converts_to(
    properties: dict[str, Any], fields: dict[str, Any], columns: dict[str, Any]
) -> None:
    assert ITEMS.record(properties) == (fields, columns)


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        (
            {"price": 1, "colour": "red"},
            "'colour' is not a column of the dataset's schema, which has ITEM_ID, CAT",
        ),
        ({"price": "dear"}, "'price' is \"dear\", and the column PRICE is of type float"),
        ({"price": None}, "'price' is null"),
        ({"price": "inf"}, "of type float"),
        ({"price": 1e39}, "of type float"),
        ({"price": True}, "of type float"),
        ({"numberOfRatings": 1.5}, "of type int"),
        ({"numberOfRatings": 2**31}, "of type int"),
        ({"creationTimestamp": 1e300}, "of type long"),
        ({"vegan": 1}, "of type boolean"),
        ({"inStock": "many"}, "of type int"),
        ({"category": {"l1": "tea"}}, "of type string"),
        ({"category": [["tea"]]}, "of type string"),
        ({"currency": ["EUR"]}, "currency is ['EUR'], which is not a text"),
    ],
)
def test_what_fits_neither_a_column_nor_a_field_is_refused(properties: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Permanent) as caught:
        ITEMS.record(properties)

    assert sentence in str(caught.value)


def test_a_value_of_the_field_alone_must_give_a_cell_of_the_column() -> None:
    fields = [{"name": "CURRENCY", "type": "int"}, {"name": "PRICE", "type": "int"}]
    numbered = DatasetSchema.parse("item", json.dumps({"fields": fields}))

    assert numbered.record({"currency": 978, "price": "7"}) == ({"currency": "978", "price": 7.0}, {})
    for properties in ({"currency": "EUR"}, {"currency": 2**31}, {"price": 2.5}):
        with pytest.raises(Permanent, match="of type int"):
            numbered.record(properties)


class View:
    """Stands for the engine's view."""

    def __init__(self, fields: list[dict[str, Any]] | None, *, of_trainer: bool = False) -> None:
        self.fields = fields
        self.of_trainer = of_trainer
        self.queries = 0

    async def fetchrow(self, _: str, *_arguments: object) -> dict[str, Any] | None:
        self.queries += 1
        if self.fields is None:
            return None
        return {"schema": json.dumps({"fields": self.fields}), "of_trainer": self.of_trainer}


async def put_items(view: View, *properties: dict[str, Any], datasets: Datasets | None = None) -> list[Any]:
    """The puts of a PutItems call, with a view of datasets in place of Postgres."""
    items = [{"itemId": "i", "properties": json.dumps(each)} for each in properties]
    request = PutItemsRequest.model_validate({"datasetArn": ARN, "items": items})
    now = datetime.now(UTC)
    context = IngestContext("shop", now, now, lambda: "id")
    datasets = datasets or Datasets(view)  # type: ignore[arg-type]
    return await datasets.with_schema("shop", "item", ARN, partial(item_puts, request, context, None))


async def test_a_refusal_names_its_place_and_a_new_schema_counts_at_once() -> None:
    view = View(FIELDS)
    datasets = Datasets(view)  # type: ignore[arg-type]
    puts = [{"price": 1}, {"colour": "red"}]

    with pytest.raises(WireError, match=r"items\.1\.properties: 'colour' is not a column") as caught:
        await put_items(view, *puts, datasets=datasets)
    assert caught.value.code == "InvalidInputException"

    view.fields = [*FIELDS, {"name": "COLOUR", "type": ["null", "string"]}]
    await put_items(view, *puts, datasets=datasets)
    queries = view.queries
    await put_items(view, *puts, datasets=datasets)
    assert view.queries == queries, "what is well is not asked for again"


async def test_a_dataset_that_the_group_lacks_is_not_found_until_it_is_made() -> None:
    view = View(None)
    datasets = Datasets(view)  # type: ignore[arg-type]

    with pytest.raises(WireError, match=f"no dataset with the ARN {ARN}") as caught:
        await put_items(view, {"price": 1}, datasets=datasets)
    assert caught.value.code == "ResourceNotFoundException"

    view.fields = FIELDS
    (put,) = await put_items(view, {"price": 1}, datasets=datasets)
    assert (put.fields, put.columns) == ({"price": 1.0}, {})


async def test_a_dataset_of_the_trainer_takes_any_property() -> None:
    view = View(FIELDS, of_trainer=True)

    (put,) = await put_items(view, {"colour": "red", "inStock": "no", "price": "2"})
    assert (put.fields, put.columns) == ({"available": False, "price": 2.0}, {"colour": "red"})

    with pytest.raises(WireError, match=r"items\.0\.properties: price is 'dear', which is not a number"):
        await put_items(view, {"price": "dear"})
