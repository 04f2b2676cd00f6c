"""Avro schemas: what describes a dataset, and what is refused with which sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.engine.domain import schemas
from shared.errors import Permanent

INTERACTIONS: list[dict[str, Any]] = [
    {"name": "USER_ID", "type": "string"},
    {"name": "ITEM_ID", "type": "string"},
    {"name": "TIMESTAMP", "type": "long"},
]


def record(*fields: dict[str, Any], name: str = "Shop") -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields), "version": "1.0"})


def test_a_flat_record_is_read_with_its_marks() -> None:
    text = record(
        {"name": "ITEM_ID", "type": ["string"]},
        {"name": "GENRES", "type": ["null", "string"], "categorical": True},
        {"name": "ABOUT", "type": ["string", "null"], "textual": True},
    )

    assert schemas.parse(text).columns == (
        schemas.Column("ITEM_ID", "string"),
        schemas.Column("GENRES", "string", nullable=True, categorical=True),
        schemas.Column("ABOUT", "string", nullable=True, textual=True),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not valid JSON"),
        ("[" * 20_000, "not valid JSON"),
        ("[]", "not an Avro record"),
        (
            '{"type": "record", "name": 5, "fields": [{"name": "A", "type": "int"}]}',
            "name must be a text, not 5",
        ),
        ('{"type": "enum", "fields": []}', "not an Avro record"),
        ('{"type": "record", "fields": []}', "has no fields"),
        ('{"type": "record", "fields": [{"type": "string"}]}', "needs a name"),
        (record({"name": "A", "type": "bytes"}), "Field A has the type 'bytes'"),
        (record({"name": "A", "type": ["string", "long"]}), "Field A has the type"),
        (record({"name": "A", "type": {"type": "array", "items": "string"}}), "Field A has the type"),
        (record({"name": "A_B", "type": "int"}, {"name": "AB", "type": "int"}), "underscores or case only"),
    ],
)
def test_what_is_no_flat_record_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(Permanent, match=sentence):
        schemas.parse(text)


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        ("INTERACTIONS", INTERACTIONS[:2], r"needs the fields \['TIMESTAMP'\]"),
        (
            "INTERACTIONS",
            [*INTERACTIONS[:2], {"name": "TIMESTAMP", "type": "string"}],
            "TIMESTAMP .* must be of type long",
        ),
        (
            "INTERACTIONS",
            [{"name": "USER_ID", "type": ["null", "string"]}, *INTERACTIONS[1:]],
            "USER_ID is required and must not be nullable",
        ),
        (
            "INTERACTIONS",
            [*INTERACTIONS, {"name": "EVENT_TYPE", "type": "string", "categorical": True}],
            "EVENT_TYPE must not be categorical",
        ),
        ("ITEMS", [{"name": "ITEM_ID", "type": "string"}], "at least one metadata field"),
        (
            "ITEMS",
            [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float", "categorical": True}],
            "Only string fields",
        ),
        (
            "USERS",
            [{"name": "USER_ID", "type": "string"}, {"name": "BIO", "type": "string", "textual": True}],
            "Only items have textual fields",
        ),
        (
            "INTERACTIONS",
            [*INTERACTIONS, *({"name": f"M{number}X", "type": "string"} for number in range(6))],
            "at most 5 metadata fields, not 6",
        ),
    ],
)
def test_a_schema_must_fit_the_type_of_its_dataset(
    kind: schemas.DatasetType, fields: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(Permanent, match=sentence):
        schemas.check(schemas.parse(record(*fields)), kind)


@pytest.mark.parametrize("name", ["Interactions", "users", "Actions", "Action_Interactions"])
def test_a_schema_that_is_called_after_another_type_of_dataset_is_refused(name: str) -> None:
    fields = [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}]

    with pytest.raises(Permanent, match=f"name is {name}, so it is not for ITEMS: .*; call it Items"):
        schemas.check(schemas.parse(record(*fields, name=name)), "ITEMS")


@pytest.mark.parametrize("name", ["Interactions", "interactions", "INTERACTIONS", "Clicks", ""])
def test_a_schema_may_be_called_after_its_dataset_in_any_case_or_otherwise(name: str) -> None:
    schemas.check(schemas.parse(record(*INTERACTIONS, name=name)), "INTERACTIONS")


def test_the_playbooks_schemas_fit() -> None:
    items = record(
        {"name": "ITEM_ID", "type": "string"},
        {"name": "ITEM_NAME", "type": "string"},
        {"name": "CATEGORY", "type": "string", "categorical": True},
        {"name": "PRICE", "type": "float"},
        {"name": "PURCHASE_COUNT", "type": "int"},
    )
    event_columns = [{"name": "EVENT_TYPE", "type": "string"}, {"name": "EVENT_VALUE", "type": "float"}]

    schemas.check(schemas.parse(items), "ITEMS")
    schemas.check(schemas.parse(record(*INTERACTIONS, *event_columns)), "INTERACTIONS")


def test_the_ecommerce_domain_asks_for_more() -> None:
    plain = schemas.parse(record({"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}))

    with pytest.raises(Permanent, match="CATEGORY_L1"):
        schemas.check(plain, "ITEMS", "ECOMMERCE")
    category = {"name": "CATEGORY_L1", "type": ["string"]}
    price = {"name": "PRICE", "type": ["float", "null"]}
    fields = [{"name": "ITEM_ID", "type": "string"}, price]
    with pytest.raises(Permanent, match="must be a categorical string"):
        schemas.check(schemas.parse(record(*fields, category)), "ITEMS", "ECOMMERCE")
    marked = {**category, "categorical": True}
    schemas.check(schemas.parse(record(*fields, marked)), "ITEMS", "ECOMMERCE")
    for name, kind, mark in (
        ("CATEGORY_L2", "string", "categorical"),
        ("ADULT", "boolean", "categorical"),
        ("PRODUCT_DESCRIPTION", "string", "textual"),
    ):
        known = schemas.parse(record(*fields, marked, {"name": name, "type": kind}))
        with pytest.raises(Permanent, match=f"{name} of the ECOMMERCE domain must be a {mark} string"):
            schemas.check(known, "ITEMS", "ECOMMERCE")
        right = {"name": name, "type": ["null", "string"], mark: True}
        schemas.check(schemas.parse(record(*fields, marked, right)), "ITEMS", "ECOMMERCE")
    with pytest.raises(Permanent, match="EVENT_TYPE"):
        schemas.check(schemas.parse(record(*INTERACTIONS)), "INTERACTIONS", "ECOMMERCE")
