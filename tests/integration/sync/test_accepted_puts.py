"""What PutItems and PutUsers answer with 200 is merged and published, whatever the values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from services.tracker.domain.dataset_schema import DatasetSchema
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.personalize import item_puts, user_puts
from shared.aws import WireError
from shared.aws.personalize.events import PutItemsRequest, PutUsersRequest
from shared.events import ItemChanged, ItemPut, UserChanged, UserPut
from shared.kafka import encoded
from tests.integration.sync.shop import TENANT, Shop

NOW = datetime.now(UTC)
ARN = "arn:aws:personalize:eu-west-1:0:dataset/shop/"
TYPES = {
    "PRICE": "float", "WEIGHT": "double", "RATINGS": "int", "VIEWS": "long", "VEGAN": "boolean",
    "COLOUR": "string", "IN_STOCK": "int", "AVAILABLE": "string", "CATEGORY_L1": "string",
    "PRODUCT_CATEGORY": "string", "CITY": "int",
    "CREATION_TIMESTAMP": "long", "NAME": "string", "STATE": "double", "CURRENCY": "boolean",
}  # fmt: skip
ODD: tuple[Any, ...] = (
    None, "", " ", "Y", "true", True, False, 0, 7, -1, 1.5, "1.5", "12.0", 2**31, 2**63, 1e12, 1e13, 3.4e38,
    1e39, "1e39", "NaN", "-Infinity", 1_700_000_000, "1700000000", 1_700_000_000_000, "2026-03-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00", [], ["lamps", "sale"], [1, True, "a"], [["a"]], {"a": 1}, "x" * 2_000,
    "👍" * 7_000, "\u0001\\\"'|", "𝟙", "١٢",
)  # fmt: skip


def columns(kind: Any) -> DatasetSchema:
    fields = [{"name": name, "type": ["null", each]} for name, each in TYPES.items()]
    return DatasetSchema.parse(kind, json.dumps({"fields": fields}))


def accepted(name: str, value: Any, number: int, *, has_schema: bool) -> list[ItemPut | UserPut]:
    """The puts of an item and of a user with this property that the tracker accepts, as they lie in Kafka."""
    numbers = count(number * 2)
    context = IngestContext(TENANT, NOW, NOW - timedelta(days=1), lambda: f"e{next(numbers)}")
    properties = json.dumps({name: value}, ensure_ascii=False)
    item = {"itemId": f"i{number}", "properties": properties}
    user = {"userId": f"u{number}", "properties": properties}
    puts: list[ItemPut | UserPut] = []
    try:
        request = PutItemsRequest.model_validate({"datasetArn": f"{ARN}ITEMS", "items": [item]})
        puts += item_puts(request, context, None, columns("item") if has_schema else None)
    except WireError as error:
        if error.code != "InvalidInputException":
            raise
    try:
        users = PutUsersRequest.model_validate({"datasetArn": f"{ARN}USERS", "users": [user]})
        puts += user_puts(users, context, None, columns("user") if has_schema else None)
    except WireError as error:
        if error.code != "InvalidInputException":
            raise
    return [type(put).model_validate_json(encoded(put, "tracker", "").value or b"") for put in puts]


@pytest.mark.parametrize("has_schema", [True, False], ids=["own-dataset", "trainers-dataset"])
async def test_no_put_that_was_accepted_is_refused_later(shop: Shop, *, has_schema: bool) -> None:
    pairs = [(name, value) for name in TYPES for value in ODD]
    puts = [
        put
        for number, (name, value) in enumerate(pairs)
        for put in accepted(name, value, number, has_schema=has_schema)
    ]

    await shop.handlers.put(puts)

    kept = await shop.rows("SELECT item_id AS id FROM items UNION ALL SELECT user_id FROM users")
    assert {row["id"] for row in kept} == {
        put.item_id if isinstance(put, ItemPut) else put.user_id for put in puts
    }
    items = [ItemChanged.model_validate(event) for event in await shop.published("items-v1")]
    users = [UserChanged.model_validate(event) for event in await shop.published("users-v1")]
    assert len(items) + len(users) == len(puts) > 400
    if has_schema:
        assert all(item.available for item in items), "a column hides no item"
