"""What the tracker accepts of items and users, sync can merge and publish."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.engine.domain.schemas import Column, Schema
from services.engine.jobs.received_rows import _state_cells
from services.sync.domain.catalogue import item_changed, user_changed
from services.tracker.domain.dataset_schema import DatasetSchema
from services.tracker.domain.personalize import item_puts, user_puts
from shared.aws import WireError
from shared.aws.personalize.events import PutItemsRequest, PutUsersRequest
from shared.events import ItemChanged, UserChanged, values
from shared.events.field_aliases import ITEM_FIELDS
from tests.unit.shared.intakes import NOW, REFUSALS, context, item_of, merged

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["1e39", "1772366400", "9999-12-31T23:59:59-14:00", "true", " ", "2.5", "𝟙"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
NAMES = ("price", "name", "CATEGORY_L1", "currency", "in_stock", "CREATION_TIMESTAMP", "city", "state", "hue")
names = st.sampled_from(NAMES)
types = st.sampled_from(["string", "int", "long", "float", "double", "boolean"])
schemas = st.none() | st.lists(types, min_size=len(NAMES), max_size=len(NAMES))


def says(value: Any) -> bool:
    return any(one not in (None, "") for one in value) if isinstance(value, list) else value not in (None, "")


def columns(kind: Literal["item", "user"], types: list[str] | None) -> DatasetSchema | None:
    fields = [{"name": name, "type": ["null", each]} for name, each in zip(NAMES, types or (), strict=False)]
    return DatasetSchema.parse(kind, json.dumps({"fields": fields})) if types else None


@given(properties=st.dictionaries(names, json_values, min_size=1, max_size=4), types=schemas)
@example({"CREATION_TIMESTAMP": "9999-12-31T23:59:59-14:00"}, None)
@example({"CREATION_TIMESTAMP": "1700000000000"}, ["long"] * len(NAMES))
@example({"CATEGORY_L1": ["a", "b"]}, ["string"] * len(NAMES))
@example({"CREATION_TIMESTAMP": []}, ["string"] * len(NAMES))
@example({"name": 2147483648.0}, ["int"] * len(NAMES))
@example({"price": 1e38, "in_stock": 7}, ["double"] * len(NAMES))
def test_what_the_tracker_takes_of_items_and_users_sync_can_merge_and_publish(
    properties: dict[str, Any], types: list[str] | None
) -> None:
    """After a 2xx no later step may refuse: the put, the merged state and its event; and no cell is lost."""
    text = json.dumps(properties)
    items = {"datasetArn": "arn:aws:personalize:eu-west-1:0:dataset/shop/ITEMS"}
    users = {"datasetArn": "arn:aws:personalize:eu-west-1:0:dataset/shop/USERS"}
    try:
        item_request = PutItemsRequest.model_validate(
            items | {"items": [{"itemId": "i", "properties": text}]}
        )
        user_request = PutUsersRequest.model_validate(
            users | {"users": [{"userId": "u", "properties": text}]}
        )
        (item,) = item_puts(item_request, context(), None, columns("item", types))
        (user,) = user_puts(user_request, context(), None, columns("user", types))
    except REFUSALS:
        return

    item_state, user_state = merged(item), merged(user)
    changed = ItemChanged.model_validate_json(item_changed("shop", item_state, NOW).model_dump_json())
    UserChanged.model_validate_json(user_changed("shop", user_state, NOW).model_dump_json())

    assert changed.price is None or values.is_usable(changed.price)
    assert changed.created_at is None or values.EARLIEST <= changed.created_at < values.LATEST
    if types is not None:
        assert changed.available, "a column hides no item"
        schema = Schema(tuple(Column(*each, nullable=True) for each in zip(NAMES, types, strict=True)))
        row = {name: getattr(changed, name) for name in ITEM_FIELDS} | {"id": "i"}
        cells = _state_cells("ITEMS", schema)({**row, "attributes": changed.attributes})
        trained = dict(zip(NAMES, cells, strict=True))
        lost = {name for name, value in properties.items() if says(value) and trained[name] is None}
        assert lost <= {"CREATION_TIMESTAMP"}


def test_several_categories_are_one_text() -> None:
    assert item_of('{"CATEGORY_L1": ["Tea", "Green"]}') == {"category": "Tea|Green"}
    assert item_of('{"CATEGORY_L1": []}') == {"category": None}
    with pytest.raises(WireError, match=r"items\.0\.properties: name is \['x'\], which is not a text"):
        item_of('{"name": ["x"]}')


def test_a_put_that_no_state_could_take_is_refused() -> None:
    assert item_of(json.dumps({"colour": "a" * 31_000}, ensure_ascii=False)) == {}

    with pytest.raises(WireError, match=r"'colour' has 120,0\d\d bytes; 100,000 are allowed"):
        item_of(json.dumps({"colour": "👍" * 30_000}, ensure_ascii=False))
    with pytest.raises(WireError, match="1,001 properties in one put"):
        item_of(json.dumps({str(n): n for n in range(1_001)}))
